//! The content of a report, before an output format renders it.

/// Begins the lines of a body that are commands or parts of files to paste: no format wraps them.
pub const TO_PASTE: &str = "    ";

/// A part of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// Its content.
    pub body: Body,
    /// Remarks below it.
    pub remarks: Vec<String>,
    /// Whether it is read only by those who look into the details: the answer stands in the others.
    pub is_detail: bool,
    /// Whether it is the answer that the report is for.
    pub is_answer: bool,
}

/// The content of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Names and values.
    Facts(Vec<(String, String)>),
    /// A table.
    Table(Table),
    /// Lines, each of which stands for itself.
    Lines(Vec<String>),
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// Its columns: heading, and whether figures stand in it.
    pub columns: Vec<(String, bool)>,
    /// Its rows, each as long as the columns.
    pub rows: Vec<Vec<String>>,
}

impl Section {
    /// A section without remarks.
    pub fn new(title: impl Into<String>, body: Body) -> Self {
        Self { title: title.into(), body, remarks: Vec::new(), is_detail: false, is_answer: false }
    }

    /// A section of names and values.
    pub fn facts<N: Into<String>>(title: impl Into<String>, facts: Vec<(N, String)>) -> Self {
        let facts = facts.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Self::new(title, Body::Facts(facts))
    }

    /// Makes it a detail.
    #[must_use]
    pub fn detail(mut self) -> Self {
        self.is_detail = true;
        self
    }

    /// Adds remarks.
    #[must_use]
    pub fn remarks(mut self, remarks: impl IntoIterator<Item = String>) -> Self {
        self.remarks.extend(remarks);
        self
    }
}

impl Table {
    /// A table with columns of words, then columns of figures.
    pub fn new(words: &[&str], figures: &[&str]) -> Self {
        let words = words.iter().map(|heading| ((*heading).to_owned(), false));
        let figures = figures.iter().map(|heading| ((*heading).to_owned(), true));
        Self { columns: words.chain(figures).collect(), rows: Vec::new() }
    }

    /// Adds a column of words behind the others.
    pub fn word(mut self, heading: &str) -> Self {
        self.columns.push((heading.to_owned(), false));
        self
    }

    /// Adds a row. Whoever fills a table gives each row as many cells as there are columns.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let row: Vec<String> = cells.into_iter().collect();
        debug_assert_eq!(row.len(), self.columns.len(), "{row:?}");
        self.rows.push(row);
    }
}
