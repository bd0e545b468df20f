//! Decimal numbers of `addf`, `mulf` and others (shopspring/decimal).
//! Takes texts and numbers; computes without the errors of binary fractions.

/// A decimal number: `coefficient × 10^exponent`. Sprig computes with these, so that no binary
/// fraction shows.
#[derive(Clone, Debug)]
pub(super) enum Decimal {
    Exact {
        coefficient: i128,
        exponent: i32,
    },
    /// Numbers out of range are computed as floats.
    Float(f64),
}

/// How many digits a quotient has after the point.
const QUOTIENT_DIGITS: i32 = 16;

impl From<f64> for Decimal {
    fn from(value: f64) -> Self {
        let text = format!("{value:e}");
        let parsed = text.split_once('e').and_then(|(mantissa, exponent)| {
            let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
            let coefficient = format!("{whole}{fraction}").parse().ok()?;
            let exponent = exponent.parse::<i32>().ok()? - i32::try_from(fraction.len()).ok()?;
            Some(Self::Exact { coefficient, exponent })
        });
        parsed.unwrap_or(Self::Float(value))
    }
}

impl Decimal {
    pub(super) fn to_float(&self) -> f64 {
        match self {
            // The text of a decimal number is read right to the last bit.
            Self::Exact { coefficient, exponent } => {
                format!("{coefficient}e{exponent}").parse().unwrap_or(f64::NAN)
            }
            Self::Float(value) => *value,
        }
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        let exact = self.aligned(other).and_then(|(left, right, exponent)| {
            Some(Self::Exact { coefficient: left.checked_add(right)?, exponent })
        });
        exact.unwrap_or_else(|| Self::Float(self.to_float() + other.to_float()))
    }

    pub(super) fn subtract(&self, other: &Self) -> Self {
        let exact = self.aligned(other).and_then(|(left, right, exponent)| {
            Some(Self::Exact { coefficient: left.checked_sub(right)?, exponent })
        });
        exact.unwrap_or_else(|| Self::Float(self.to_float() - other.to_float()))
    }

    pub(super) fn multiply(&self, other: &Self) -> Self {
        let exact = match (self, other) {
            (
                Self::Exact { coefficient: left, exponent: left_exponent },
                Self::Exact { coefficient: right, exponent: right_exponent },
            ) => left.checked_mul(*right).zip(left_exponent.checked_add(*right_exponent)),
            _ => None,
        };
        match exact {
            Some((coefficient, exponent)) => Self::Exact { coefficient, exponent },
            None => Self::Float(self.to_float() * other.to_float()),
        }
    }

    /// The quotient, rounded half away from zero to 16 digits after the point. `None` for a divisor of 0.
    pub(super) fn divide(&self, other: &Self) -> Option<Self> {
        if other.to_float() == 0.0 {
            return None;
        }
        let exact = match (self, other) {
            (
                Self::Exact { coefficient: left, exponent: left_exponent },
                Self::Exact { coefficient: right, exponent: right_exponent },
            ) => quotient(*left, *right, left_exponent - right_exponent + QUOTIENT_DIGITS),
            _ => None,
        };
        Some(match exact {
            Some(coefficient) => Self::Exact { coefficient, exponent: -QUOTIENT_DIGITS },
            None => Self::Float(self.to_float() / other.to_float()),
        })
    }

    /// Both coefficients for the smaller exponent.
    fn aligned(&self, other: &Self) -> Option<(i128, i128, i32)> {
        let (
            Self::Exact { coefficient: left, exponent: left_exponent },
            Self::Exact { coefficient: right, exponent: right_exponent },
        ) = (self, other)
        else {
            return None;
        };
        let exponent = *left_exponent.min(right_exponent);
        let scaled = |coefficient: i128, from: i32| {
            coefficient.checked_mul(10i128.checked_pow(u32::try_from(from - exponent).ok()?)?)
        };
        Some((scaled(*left, *left_exponent)?, scaled(*right, *right_exponent)?, exponent))
    }
}

fn quotient(left: i128, right: i128, shift: i32) -> Option<i128> {
    let power = 10i128.checked_pow(shift.unsigned_abs())?;
    let (left, right) = match shift >= 0 {
        true => (left.checked_mul(power)?, right),
        false => (left, right.checked_mul(power)?),
    };
    let (whole, rest) = (left / right, left % right);
    let away = if (left < 0) == (right < 0) { 1 } else { -1 };
    Some(if rest.unsigned_abs().checked_mul(2)? >= right.unsigned_abs() { whole + away } else { whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_binary_fraction_shows() {
        let decimal = Decimal::from;
        assert_eq!(decimal(0.1).add(&decimal(0.2)).to_float(), 0.3);
        assert_eq!(decimal(1.5).subtract(&decimal(0.1)).to_float(), 1.4);
        assert_eq!(decimal(1.1).multiply(&decimal(1.1)).to_float(), 1.21);
        assert_eq!(decimal(10.0).divide(&decimal(4.0)).unwrap().to_float(), 2.5);
        assert_eq!(decimal(2.0).divide(&decimal(3.0)).unwrap().to_float(), 0.666_666_666_666_666_7);
        assert!(decimal(1.0).divide(&decimal(0.0)).is_none());
        assert_eq!(decimal(1e300).add(&decimal(1e-300)).to_float(), 1e300);
    }
}
