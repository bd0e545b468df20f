//! The order of keys in written YAML.
//! Takes two keys; gives go-yaml's order of them.

use std::cmp::Ordering;

use super::scalar::Dialect;

/// go-yaml's order of keys: numbers inside texts count as numbers, and letters come after all else.
pub(super) fn compare_keys(left: &str, right: &str, dialect: Dialect) -> Ordering {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut after_digit = false;
    for (index, (l, r)) in left.iter().zip(&right).enumerate() {
        if l == r {
            after_digit = l.is_numeric();
            continue;
        }
        match (l.is_alphabetic(), r.is_alphabetic()) {
            (true, true) => return l.cmp(r),
            (false, false) => {}
            (l_letter, _) => {
                let letter_first = dialect == Dialect::V3 && after_digit;
                return if l_letter == letter_first { Ordering::Less } else { Ordering::Greater };
            }
        }
        let (mut l_number, mut r_number) = (0i64, 0i64);
        if *l == '0' || *r == '0' {
            let digits = left[..index].iter().rev().take_while(|c| c.is_numeric());
            if digits.into_iter().any(|c| *c != '0') {
                (l_number, r_number) = (1, 1);
            }
        }
        let l_end = read_number(&left, index, &mut l_number);
        let r_end = read_number(&right, index, &mut r_number);
        return l_number.cmp(&r_number).then(l_end.cmp(&r_end)).then(l.cmp(r));
    }
    left.len().cmp(&right.len())
}

/// Goes on with a number over the digits from `start` on, and gives their end.
fn read_number(text: &[char], start: usize, number: &mut i64) -> usize {
    let mut end = start;
    while let Some(digit) = text.get(end).filter(|c| c.is_numeric()) {
        *number = number.wrapping_mul(10).wrapping_add(i64::from(u32::from(*digit)) - 48);
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_go_yamls_order() {
        let order = |keys: &[&str]| {
            let mut sorted = keys.to_vec();
            sorted.sort_by(|left, right| compare_keys(left, right, Dialect::V2));
            assert_eq!(sorted, keys);
        };
        order(&["1", "2", "10", "A", "a", "a-b", "a1", "a2", "a10", "ab", "b"]);
        order(&["_a", "a", "a_b", "ab"]);
        order(&["a1", "a01", "a2", "a02"]);
    }
}
