//! A robot account's secret, which masks itself and wipes its memory. Takes text in Harbor's form; gives it
//! only by an explicit call.

use std::fmt;

use serde::Deserialize;
use zeroize::Zeroizing;

/// A robot account's secret: `Debug` masks it, there is no `Display`, and its memory is wiped.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct RobotSecret(Zeroizing<String>);

impl RobotSecret {
    /// A secret that someone made.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret, on its way to where it belongs.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for RobotSecret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for RobotSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
