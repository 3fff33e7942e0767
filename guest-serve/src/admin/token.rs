//! The token that the administration asks for.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::error::ServeError;
use crate::monitor::hex;

/// Random bytes of a token.
const BYTES: usize = 32;

/// Characters that a token has at least.
const SHORTEST: usize = 16;

/// A token. Cheap to clone; it is shown nowhere.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// The token in the file, which is made with a random one if it does not exist, for its owner alone.
    ///
    /// # Errors
    /// [`ServeError::Token`] if the file has none, and [`ServeError::Io`].
    pub fn of_file(path: &Path) -> Result<Self, ServeError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).ok_or_else(|| ServeError::Token { path: path.to_owned(), least: SHORTEST }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(path),
            Err(error) => Err(ServeError::io("read the token", path)(error)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = text.len() >= SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.into()))
    }

    fn make(path: &Path) -> Result<Self, ServeError> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(|error| ServeError::System {
            what: "get random bytes",
            source: io::Error::other(error.to_string()),
        })?;
        let text = hex(&bytes);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(path).and_then(|mut file| writeln!(file, "{text}"));
        written.map_err(ServeError::io("write the token", path))?;
        Ok(Self(text.into()))
    }

    /// Whether this is the token.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        is_equal(self.0.as_bytes(), given.as_bytes())
    }

    /// Whether this is the value of a browser that gave the token once.
    #[must_use]
    pub fn is_session(&self, given: &str) -> bool {
        is_equal(self.session().as_bytes(), given.as_bytes())
    }

    /// The value that a browser keeps. It is not the token: browsers send it to all ports of a host, and so to the guests.
    #[must_use]
    pub fn session(&self) -> String {
        hex(&Sha256::new().chain_update("guest-serve session\n").chain_update(&*self.0).finalize())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Whether both are equal. How long it takes tells nothing about the bytes: their hashes are compared.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    Sha256::digest(one) == Sha256::digest(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let made = Token::of_file(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim().len(), 64);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let read = Token::of_file(&path).unwrap();
        for token in [&made, &read] {
            assert!(token.is(text.trim()) && !token.is(&text) && !token.is("") && !token.is(&token.session()));
            assert!(token.is_session(&made.session()) && !token.is_session(text.trim()));
            assert_eq!(format!("{token:?}"), "Token");
        }
        let other = Token::of_file(&folder.path().join("other")).unwrap();
        assert!(!other.is(text.trim()) && !other.is_session(&made.session()));
    }

    #[test]
    fn a_file_without_a_token_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for text in ["", "\n", "short", "0123456789 012345", "0123456789ä012345"] {
            fs::write(&path, text).unwrap();
            let error = Token::of_file(&path).unwrap_err().to_string();
            let expected =
                "has no token: write at least 16 characters without spaces, or remove the file and a token is made";
            assert_eq!(error, format!("{} {expected}", path.display()), "{text}");
        }
        let error = Token::of_file(&folder.path().join("none/token")).unwrap_err().to_string();
        assert!(error.starts_with("cannot write the token "), "{error}");
    }
}
