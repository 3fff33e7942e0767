//! Routes: which method and path call which function.

use std::fmt;

use hyper::Method;

use super::table::{Table, nearest};
use crate::error::{Place, ServeError};

/// The keys of a route.
pub(super) const KEYS: [&str; 6] = ["method", "path", "function", "extension", "format", "stream"];

/// Methods that a route can have.
const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// The segment that stands for the tenant's key.
const TENANT: &str = "{tenant}";

/// The last segment that stands for whatever follows.
const REST: &str = "{*rest}";

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path below the mount.
    pub path: RoutePath,
    /// The function that it calls.
    pub function: String,
    /// The kind of this function.
    pub callee: Callee,
    /// How requests and responses are written.
    pub format: Format,
    /// Whether the function reads and writes bodies piece by piece.
    pub stream: bool,
    /// Where the route begins in the file.
    pub(crate) place: Place,
    /// Where its function stands in the file.
    pub(crate) function_place: Place,
}

/// The kind of the function that a route calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Callee {
    /// A typed function: from arguments to a result.
    Function,
    /// An extension function: it reads an event and records, and leaves intents.
    Extension,
}

impl Callee {
    /// The key of `guest.toml` that names such a function.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Extension => "extension",
        }
    }
}

/// How requests and responses of a route are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Format {
    /// JSON or CBOR: the body is the arguments, the response the result.
    #[default]
    Values,
    /// The function gets the request, and gives the response. See [`guest_abi::http`].
    Http,
}

impl Format {
    /// All of them.
    const ALL: [Self; 2] = [Self::Values, Self::Http];

    /// The word for it in `guest.toml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Http => "http",
        }
    }
}

/// The path of a route, below the mount. See [`RoutePath::capture`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutePath {
    segments: Vec<Segment>,
}

/// A segment of a [`RoutePath`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Segment {
    /// A segment that is written so.
    Literal(String),
    /// Any segment: the key of a tenant.
    Tenant,
    /// Any number of segments at the end, also none.
    Rest,
}

/// A path that a route has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capture<'p> {
    /// The key of the tenant, as the path has it; `None` for a route without `{tenant}`.
    pub tenant: Option<&'p str>,
}

impl Route {
    pub(super) fn read(table: &Table<'_, '_, '_>) -> Result<Self, ServeError> {
        let method = match table.text("method")? {
            None => Method::POST,
            Some(found) => METHODS.into_iter().find(|method| method.as_str() == found.text).ok_or_else(|| {
                let wrong = found.text;
                let upper = wrong.to_uppercase();
                let message = match METHODS.iter().find(|method| method.as_str() == upper) {
                    Some(method) => format!("`{wrong}` is not a method: did you mean `{method}`?"),
                    None => format!("a route cannot have the method `{wrong}`: use one of {}", list(&METHODS)),
                };
                found.error(message)
            })?,
        };
        let path = table.needed("path", "the route")?;
        let (callee, function) = match (table.text("function")?, table.text("extension")?) {
            (Some(function), None) => (Callee::Function, function),
            (None, Some(extension)) => (Callee::Extension, extension),
            (Some(_), Some(extension)) => {
                let message = "the route has `function` and `extension`; it calls one: remove the other";
                return Err(extension.error(message));
            }
            (None, None) => {
                let message = "the route lacks `function`, or `extension` for an extension function; add one of them";
                return Err(table.place().error(message));
            }
        };
        let format = match table.text("format")? {
            None => Format::default(),
            Some(found) => match Format::ALL.into_iter().find(|format| format.name() == found.text) {
                Some(Format::Http) if callee == Callee::Extension => {
                    return Err(found.error("an extension function gives no response of its own; leave out `format`"));
                }
                Some(format) => format,
                None => {
                    let nearest = nearest(found.text, &Format::ALL.map(Format::name));
                    return Err(found.error(format!("there is no format `{}`: {nearest}", found.text)));
                }
            },
        };
        let stream = table.flag("stream")?.unwrap_or(false);
        if stream && format != Format::Http {
            let message =
                "`stream = true` is for functions that give responses; add `format = \"http\"`, or leave out `stream`";
            return Err(table.place().error(message));
        }
        if function.text.is_empty() {
            let key = callee.key();
            return Err(function.error(format!("`{key}` is empty; write the name of a function of the module")));
        }
        Ok(Self {
            method,
            path: RoutePath::parse(path.text).map_err(|message| path.error(message))?,
            function: function.text.to_owned(),
            callee,
            format,
            stream,
            place: table.place(),
            function_place: function.place(),
        })
    }
}

fn list(methods: &[Method]) -> String {
    methods.iter().map(|method| format!("`{method}`")).collect::<Vec<_>>().join(", ")
}

impl RoutePath {
    /// Reads a path such as `/rooms/{tenant}` or `/files/{*rest}`.
    ///
    /// # Errors
    /// A message for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut segments = Vec::new();
        for segment in segments_of(text)? {
            if segments.contains(&Segment::Rest) {
                return Err(format!(
                    "`{text}` has segments behind `{REST}`, which stands for all of them; leave them out"
                ));
            }
            if segment == REST {
                segments.push(Segment::Rest);
                continue;
            }
            if segment == TENANT {
                if segments.contains(&Segment::Tenant) {
                    return Err(format!("`{text}` has `{TENANT}` twice; a route has one tenant"));
                }
                segments.push(Segment::Tenant);
                continue;
            }
            check_segment(text, segment)?;
            segments.push(Segment::Literal(segment.to_owned()));
        }
        Ok(Self { segments })
    }

    /// Its segments.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether a segment of it is the tenant's key.
    #[must_use]
    pub fn has_tenant(&self) -> bool {
        self.segments.contains(&Segment::Tenant)
    }

    /// Where several routes have a path, that with the least precedence serves it: one that is written so comes before one with a
    /// tenant's key, and that before one with `{*rest}`, of which the longer comes first.
    pub(crate) fn precedence(&self) -> (Option<usize>, bool) {
        let has_rest = self.segments.contains(&Segment::Rest);
        (has_rest.then_some(usize::MAX - self.segments.len()), self.has_tenant())
    }

    /// The tenant in `rest`, the part of a request's path behind the mount; `None` if the route has another path.
    ///
    /// ```
    /// use guest_serve::config::RoutePath;
    ///
    /// let rooms = RoutePath::parse("/rooms/{tenant}").unwrap();
    /// assert_eq!(rooms.capture("/rooms/blue").unwrap().tenant, Some("blue"));
    /// assert!(rooms.capture("/rooms").is_none() && rooms.capture("/rooms/").is_none());
    ///
    /// let files = RoutePath::parse("/files/{*rest}").unwrap();
    /// assert!(["/files", "/files/", "/files/a/b"].iter().all(|path| files.capture(path).is_some()));
    /// ```
    #[must_use]
    pub fn capture<'p>(&self, rest: &'p str) -> Option<Capture<'p>> {
        let rest = match rest {
            "" | "/" => return matches!(*self.segments, [] | [Segment::Rest]).then_some(Capture { tenant: None }),
            rest => rest.strip_prefix('/')?,
        };
        let mut tenant = None;
        let mut expected = self.segments.iter();
        for found in rest.split('/') {
            match expected.next()? {
                Segment::Literal(literal) if literal == found => {}
                Segment::Tenant if !found.is_empty() => tenant = Some(found),
                Segment::Rest => return Some(Capture { tenant }),
                _ => return None,
            }
        }
        matches!(expected.next(), None | Some(Segment::Rest)).then_some(Capture { tenant })
    }

    /// Whether both have the same segments: a request that has the one has the other.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self == other
    }
}

impl fmt::Display for RoutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segments.is_empty() {
            return f.write_str("/");
        }
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Literal(literal) => write!(f, "/{literal}"),
            Segment::Tenant => write!(f, "/{TENANT}"),
            Segment::Rest => write!(f, "/{REST}"),
        })
    }
}

/// Checks the path of a mount.
pub(super) fn check_mount(text: &str) -> Result<(), String> {
    for segment in segments_of(text)? {
        if segment == TENANT || segment == REST {
            return Err(format!("`{text}` has `{segment}`; it can stand in the path of a route alone"));
        }
        check_segment(text, segment)?;
    }
    Ok(())
}

fn segments_of(text: &str) -> Result<Vec<&str>, String> {
    let Some(rest) = text.strip_prefix('/') else {
        return Err(format!("`{text}` is not a path; begin it with `/`"));
    };
    if rest.is_empty() {
        return Ok(Vec::new());
    }
    if rest.ends_with('/') {
        return Err(format!("`{text}` ends with `/`; leave that out"));
    }
    Ok(rest.split('/').collect())
}

fn check_segment(text: &str, segment: &str) -> Result<(), String> {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    match segment {
        "" => Err(format!("`{text}` has an empty segment; write one `/` between segments")),
        "." | ".." => Err(format!("`{text}` has a segment `{segment}`, which clients resolve; leave it out")),
        _ if segment.bytes().all(is_known) => Ok(()),
        _ if segment.contains(['{', '}']) => {
            Err(format!("`{text}`: a segment of braces can be `{TENANT}` or `{REST}` alone, not `{segment}`"))
        }
        _ => Err(format!("`{text}`: a segment has letters, digits and `-._~`, and `{segment}` has others")),
    }
}
