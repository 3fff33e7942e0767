//! The page that decides by questions: each row of its table is a situation, and answers as in the row must lead to it.

use anyhow::Result;
use chromiumoxide::Page;

/// Answers as in each row, and returns the faults.
const ANSWER: &str = include_str!("scripts/questions.js");

/// Starts again, and marks the first answer.
const MARK: &str = "() => { document.querySelectorAll('[data-check]').forEach((marked) => marked.removeAttribute('data-check')); \
    document.querySelector('form.questions input')?.setAttribute('data-check', 'answer'); return true; }";

/// Whether an answer is given and rows that contradict it are hidden.
const ANSWERED: &str = "() => document.querySelector('form.questions input:checked') !== null \
    && [...document.querySelectorAll('tbody tr')].some((row) => row.hidden)";

/// Faults of the questions; none where the page has no questions.
pub(crate) async fn complaints(page: &Page) -> Result<Vec<String>> {
    let has: bool = page.evaluate("document.querySelector('form.questions') !== null").await?.into_value()?;
    if !has {
        return Ok(Vec::new());
    }
    let mut faults: Vec<String> = page.evaluate_function(ANSWER).await?.into_value()?;
    page.evaluate_function(MARK).await?;
    match page.find_element("[data-check=answer]").await {
        Ok(answer) => {
            answer.focus().await?.press_key("ArrowRight").await?;
            if !page.evaluate_function(ANSWERED).await?.into_value::<bool>()? {
                faults.push("a key gives no answer".to_owned());
            }
        }
        Err(_) => faults.push("no answer that keys reach".to_owned()),
    }
    Ok(faults)
}
