//! The people who may read, from an htpasswd file with bcrypt hashes.
//! Takes the file, gives the user of an `Authorization` header.

use crate::limits::{REMEMBERED_PASSWORDS, USERS_FILE};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use bundle_oci::{Digest, Hasher};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// The people who may read, from an htpasswd file with bcrypt hashes.
pub struct Users {
    hashes: Arc<HashMap<String, String>>,
    /// Passwords that were found right, so that not each request of thousands costs a bcrypt. Kept
    /// as digests under a salt of this process.
    right: Mutex<HashSet<Digest>>,
    salt: Zeroizing<[u8; 32]>,
    hashing: Semaphore,
}

/// Why an htpasswd file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The file cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A line that is no user and bcrypt hash. The line itself is a secret.
    #[error("{}:{line}: this is not a user, a colon and a bcrypt hash", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A user with two lines.
    #[error("{}:{line}: this user has a line already", .path.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A file without users.
    #[error("{} names no user", .0.display())]
    Empty(PathBuf),
    /// The system gives no random bytes.
    #[error("the system's random number generator failed")]
    Random(#[source] std::io::Error),
}

/// The costs of bcrypt that are taken: below, it is no protection; above, a minute for each try.
const COSTS: std::ops::RangeInclusive<u32> = 4..=16;

impl Users {
    /// One user with this password, which is kept as a digest only.
    ///
    /// # Errors
    /// [`UsersError::Random`].
    pub fn one(user: &str, password: &str) -> Result<Self, UsersError> {
        let users = Self::of(HashMap::new(), 1)?;
        let seen = users.seen(user, password);
        users.right.lock().unwrap_or_else(PoisonError::into_inner).insert(seen);
        Ok(users)
    }

    /// Reads an htpasswd file, as `htpasswd -B` writes it.
    ///
    /// # Errors
    /// Any [`UsersError`].
    pub fn load(path: &Path, at_once: usize) -> Result<Self, UsersError> {
        let failed = |source| UsersError::Read { path: path.to_owned(), source };
        let text = Zeroizing::new(bundle_os::read_text(path, USERS_FILE).map_err(failed)?);
        let mut hashes = HashMap::new();
        for (number, line) in text.lines().enumerate() {
            let line_number = number + 1;
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || UsersError::Line { path: path.to_owned(), line: line_number };
            let (user, hash) = line.split_once(':').ok_or_else(wrong)?;
            if user.is_empty() || !is_bcrypt(hash) {
                return Err(wrong());
            }
            if hashes.insert(user.to_owned(), hash.to_owned()).is_some() {
                return Err(UsersError::Twice { path: path.to_owned(), line: line_number });
            }
        }
        if hashes.is_empty() {
            return Err(UsersError::Empty(path.to_owned()));
        }
        Self::of(hashes, at_once)
    }

    fn of(hashes: HashMap<String, String>, at_once: usize) -> Result<Self, UsersError> {
        let mut salt = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *salt).map_err(|error| UsersError::Random(std::io::Error::other(error)))?;
        Ok(Self {
            hashes: Arc::new(hashes),
            right: Mutex::default(),
            salt,
            hashing: Semaphore::new(at_once.max(1)),
        })
    }

    /// What is kept of a right password.
    fn seen(&self, user: &str, password: &str) -> Digest {
        let mut seen = Hasher::new();
        for part in [&self.salt[..], &(user.len() as u64).to_be_bytes(), user.as_bytes(), password.as_bytes()]
        {
            seen.update(part);
        }
        seen.finish()
    }

    /// The user that the header `Authorization` proves to be.
    ///
    /// Only what `client` has room for joins the queue of all clients.
    pub(crate) async fn check(&self, header: &str, client: &Semaphore) -> Option<String> {
        let (user, password) = basic(header)?;
        let seen = self.seen(&user, &password);
        if self.right.lock().unwrap_or_else(PoisonError::into_inner).contains(&seen) {
            return Some(user);
        }
        let _turn = client.acquire().await;
        let _permit = self.hashing.acquire().await;
        let hashes = self.hashes.clone();
        let name = user.clone();
        let verified = tokio::task::spawn_blocking(move || {
            match hashes.get(&name) {
                Some(hash) => bcrypt::verify(password.as_bytes(), hash).unwrap_or(false),
                // An unknown user takes as long as a known one.
                None => {
                    let _ = hashes.values().next().map(|hash| bcrypt::verify(password.as_bytes(), hash));
                    false
                }
            }
        });
        if !verified.await.unwrap_or(false) {
            return None;
        }
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() < REMEMBERED_PASSWORDS {
            right.insert(seen);
        }
        Some(user)
    }
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Users({})", self.hashes.len())
    }
}

/// `$2y$10$` and 53 characters.
fn is_bcrypt(hash: &str) -> bool {
    let mut parts = hash.split('$');
    let (Some(""), Some("2a" | "2b" | "2y"), Some(cost), Some(rest), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    cost.len() == 2
        && cost.parse().is_ok_and(|cost| COSTS.contains(&cost))
        && rest.len() == 53
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'))
}

/// RFC 7617 §2.
fn basic(header: &str) -> Option<(String, Zeroizing<String>)> {
    let (scheme, credentials) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(credentials.trim()).ok()?;
    let text = Zeroizing::new(String::from_utf8(decoded).ok()?);
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), Zeroizing::new(password.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `htpasswd -nbBC 4 user secret`
    const LINE: &str = "user:$2y$04$DdXlGQ1hLvrC9YNiG5wDwONyRErzM9sPUzwt3MmDBaKpbS8nHRZcK";

    fn load(text: &str) -> Result<Users, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Users::load(file.path(), 1)
            .map_err(|error| error.to_string().replace(&file.path().display().to_string(), "users"))
    }

    fn header(user: &str, password: &str) -> String {
        let text = format!("{user}:{password}");
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    }

    #[test]
    fn only_bcrypt_is_taken_and_no_line_is_quoted() {
        assert!(load(&format!("# readers\n\n{LINE}\n")).is_ok());
        for (text, message) in [
            ("", "users names no user"),
            ("user:secret\n", "users:1: this is not a user, a colon and a bcrypt hash"),
            ("user:$apr1$x$y\n", "users:1: this is not a user, a colon and a bcrypt hash"),
            ("user\n", "users:1: this is not a user, a colon and a bcrypt hash"),
            (&LINE.replace("$04$", "$31$"), "users:1: this is not a user, a colon and a bcrypt hash"),
            (&format!("{LINE}\n{LINE}\n"), "users:2: this user has a line already"),
        ] {
            assert_eq!(load(text).unwrap_err(), message, "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_password_is_right_or_it_is_not() {
        let hash = bcrypt::hash("secret", 4).unwrap();
        let users = load(&format!("user:{hash}\n")).unwrap();
        let client = Semaphore::new(1);
        for _ in 0..2 {
            assert_eq!(users.check(&header("user", "secret"), &client).await.as_deref(), Some("user"));
            assert_eq!(users.check(&header("user", "Secret"), &client).await, None);
            assert_eq!(users.check(&header("User", "secret"), &client).await, None);
            assert_eq!(users.check(&header("use", "r:secret"), &client).await, None);
        }
        for bad in ["", "Basic", "Basic !", "Bearer x", "Basic dXNlcg=="] {
            assert_eq!(users.check(bad, &client).await, None, "{bad:?}");
        }
        assert_eq!(format!("{users:?}"), "Users(1)");
    }

    #[tokio::test]
    async fn one_user_of_one_run_needs_no_file() {
        let (users, client) = (Users::one("scan", "secret").unwrap(), Semaphore::new(1));
        assert_eq!(users.check(&header("scan", "secret"), &client).await.as_deref(), Some("scan"));
        for (user, password) in [("scan", ""), ("scan", "Secret"), ("", "secret"), ("root", "secret")] {
            assert_eq!(users.check(&header(user, password), &client).await, None);
        }
    }
}
