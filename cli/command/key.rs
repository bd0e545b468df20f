//! `key`: makes and shows keys; asks for passphrases for all commands that sign.
//! Takes a file's name and a passphrase; gives a key pair, or a key's fingerprint.

use std::path::PathBuf;

use bundle_format::KeyError;
use bundle_report::KeyReport;
use bundle_trust::{KeyFileError, generate, load_private, load_public};
use zeroize::Zeroizing;

use crate::environment::{self, BUNDLE_KEY_PASSPHRASE};
use crate::exit::{Code, Failure};
use crate::interrupt;
use crate::output::{self, name};

#[derive(clap::Subcommand)]
pub(crate) enum Key {
    /// Generate a key pair: PATH is the private key, PATH.pub the public key for the importing side
    Generate {
        /// Private key to write
        path: PathBuf,
        /// Ask for a passphrase, and encrypt the key with it
        #[arg(long)]
        encrypt: bool,
    },
    /// Show a key's fingerprint
    Show {
        /// Private or public key
        path: PathBuf,
    },
}

impl Key {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Generate { path, encrypt } => {
                let passphrase = if encrypt { Some(new_passphrase()?) } else { None };
                let public = generate(&path, passphrase.as_ref().map(|passphrase| passphrase.as_str()))?;
                output::report(&KeyReport {
                    fingerprint: public.fingerprint().to_string(),
                    private: Some(name(&path)),
                    public: Some(format!("{}.pub", name(&path))),
                })
            }
            Self::Show { path } => {
                let public = match load_public(&path) {
                    Err(KeyFileError::Key { source: KeyError::PrivateForPublic, .. }) => {
                        load_private(&path, ask_passphrase)?.public()
                    }
                    other => other?,
                };
                let fingerprint = public.fingerprint().to_string();
                output::report(&KeyReport { fingerprint, private: None, public: None })
            }
        }
    }
}

/// Asks for a key's passphrase, three times at most; scripts give it in BUNDLE_KEY_PASSPHRASE.
pub(crate) fn ask_passphrase(attempt: u32) -> Option<Zeroizing<String>> {
    if let Some(passphrase) = environment::text(BUNDLE_KEY_PASSPHRASE) {
        return (attempt == 1).then(|| Zeroizing::new(passphrase));
    }
    if attempt > 3 {
        return None;
    }
    let prompt =
        if attempt == 1 { "passphrase of the key: " } else { "wrong passphrase; passphrase of the key: " };
    ask(prompt).ok()
}

/// Asks on the terminal, which is left as it was even if the answer is Ctrl-C.
fn ask(prompt: &str) -> std::io::Result<Zeroizing<String>> {
    // The prompt makes the signal of that key before it gives the terminal its echo back, and
    // without a handler that is the end.
    let interrupts = bundle_os::interrupts();
    interrupt::prompts(true);
    let answer = rpassword::prompt_password(prompt).map(Zeroizing::new);
    interrupt::prompts(false);
    if answer.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::Interrupted) {
        std::process::exit(INTERRUPTED);
    }
    // Handlers stay: from here on, this ends the program, unless the command has its own way.
    if let Ok(mut interrupts) = interrupts
        && !interrupt::is_watched()
    {
        tokio::spawn(async move {
            interrupts.recv().await;
            std::process::exit(INTERRUPTED);
        });
    }
    answer
}

/// The exit code of shells for the signal.
const INTERRUPTED: i32 = 128 + 2;

fn new_passphrase() -> Result<Zeroizing<String>, Failure> {
    let empty = || Failure::text(Code::Usage, "an empty passphrase protects nothing");
    if let Some(passphrase) = environment::text(BUNDLE_KEY_PASSPHRASE) {
        let passphrase = Zeroizing::new(passphrase);
        return if passphrase.is_empty() { Err(empty()) } else { Ok(passphrase) };
    }
    let failed = |error| {
        Failure::text(Code::Usage, format!("no passphrase can be asked for: {error}"))
            .hint("without a terminal, set BUNDLE_KEY_PASSPHRASE")
    };
    let first = ask("new passphrase: ").map_err(failed)?;
    if first.is_empty() {
        return Err(empty());
    }
    if ask("the same again: ").map_err(failed)? != first {
        return Err(Failure::text(Code::Usage, "the passphrases are not the same"));
    }
    Ok(first)
}
