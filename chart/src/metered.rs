//! A text whose bytes are charged to a [`Budget`] while it grows.
//! Takes pieces as a `String` does; gives the whole text, or the [`Limit`] that it reached.

use std::ops::{Deref, DerefMut};

use crate::limits::{Budget, Limit};

/// The text that a writer makes of a value.
pub(crate) struct Metered<'b> {
    text: String,
    /// The bytes at the start that are charged already.
    charged: usize,
    budget: &'b Budget,
}

impl<'b> Metered<'b> {
    pub(crate) const fn new(budget: &'b Budget) -> Self {
        Self { text: String::new(), charged: 0, budget }
    }

    /// Charges the bytes that were added since the last charge.
    pub(crate) fn charge(&mut self) -> Result<(), Limit> {
        self.budget.bytes(self.text.len() - self.charged)?;
        self.charged = self.text.len();
        Ok(())
    }

    /// Charges the text so far, and goes one level down in the value; `depth` is that of its parent.
    pub(crate) fn descend(&mut self, depth: usize) -> Result<usize, Limit> {
        let depth = self.budget.descend(depth)?;
        self.charge()?;
        Ok(depth)
    }

    /// Charges the rest, and gives the text.
    pub(crate) fn finish(mut self) -> Result<String, Limit> {
        self.charge()?;
        Ok(self.text)
    }
}

impl Deref for Metered<'_> {
    type Target = String;

    fn deref(&self) -> &String {
        &self.text
    }
}

impl DerefMut for Metered<'_> {
    fn deref_mut(&mut self) -> &mut String {
        &mut self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    #[test]
    fn each_byte_is_charged_once_and_one_too_many_is_refused() {
        let budget = Budget::new(Limits { bytes: 4, ..Limits::DEFAULT }, None);
        let mut text = Metered::new(&budget);
        text.push_str("ab");
        assert_eq!((text.charge(), text.charge()), (Ok(()), Ok(())));
        text.push_str("cd");
        assert_eq!(text.descend(0), Ok(1));
        assert_eq!(text.finish().as_deref(), Ok("abcd"));
        let mut text = Metered::new(&budget);
        text.push('e');
        assert_eq!(text.finish(), Err(Limit::Bytes(4)));
    }
}
