use std::path::PathBuf;

use bundle_bundler::{KeyFileError, generate, load_private, load_public};
use bundle_format::KeyError;
use zeroize::Zeroizing;

use crate::command::print;
use crate::exit::{Code, Failure};
use crate::output::name;

#[derive(clap::Subcommand)]
pub(crate) enum Key {
    /// Make a key: PATH is secret and signs, PATH.pub goes to the other side and verifies
    Generate {
        /// Where to write the key
        path: PathBuf,
        /// Ask for a passphrase, and encrypt the key with it
        #[arg(long)]
        encrypt: bool,
    },
    /// Show a key's fingerprint
    Show {
        /// A private or public key
        path: PathBuf,
    },
}

impl Key {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Generate { path, encrypt } => {
                let passphrase = if encrypt { Some(new_passphrase()?) } else { None };
                let public = generate(&path, passphrase.as_ref().map(|passphrase| passphrase.as_str()))?;
                print(&format!(
                    "wrote {0} (keep it secret) and {0}.pub (take it to the other side)\nfingerprint {1}\n",
                    name(&path),
                    public.fingerprint()
                ))
            }
            Self::Show { path } => {
                let public = match load_public(&path) {
                    Err(KeyFileError::Key { source: KeyError::PrivateForPublic, .. }) => {
                        load_private(&path, ask_passphrase)?.public()
                    }
                    other => other?,
                };
                print(&format!("{}\n", public.fingerprint()))
            }
        }
    }
}

/// Asks for a key's passphrase, three times at most; scripts give it in BUNDLE_KEY_PASSPHRASE.
pub(crate) fn ask_passphrase(attempt: u32) -> Option<Zeroizing<String>> {
    if let Ok(passphrase) = std::env::var("BUNDLE_KEY_PASSPHRASE") {
        return (attempt == 1).then(|| Zeroizing::new(passphrase));
    }
    if attempt > 3 {
        return None;
    }
    let prompt =
        if attempt == 1 { "passphrase of the key: " } else { "that does not open the key; passphrase: " };
    rpassword::prompt_password(prompt).ok().map(Zeroizing::new)
}

fn new_passphrase() -> Result<Zeroizing<String>, Failure> {
    if let Ok(passphrase) = std::env::var("BUNDLE_KEY_PASSPHRASE") {
        return Ok(Zeroizing::new(passphrase));
    }
    let ask = |prompt| {
        rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
            Failure::text(Code::Usage, format!("no passphrase can be asked for: {error}"))
                .hint("without a terminal, set BUNDLE_KEY_PASSPHRASE")
        })
    };
    let first = ask("new passphrase: ")?;
    if first.is_empty() {
        return Err(Failure::text(Code::Usage, "an empty passphrase protects nothing"));
    }
    if ask("the same again: ")? != first {
        return Err(Failure::text(Code::Usage, "the passphrases are not the same"));
    }
    Ok(first)
}
