//! Template functions that make keys, certificates and passwords (Sprig).
//! Give fixed stand-ins: the same chart must give the same bytes.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::call::wrong_type;
use super::{Call, Failure, Function};
use crate::{Field, Struct, Value};

// Everything here is random in Sprig. A rendering that looks for images needs no secrets, and must give the
// same bytes every time: so each gives a fixed text of the right form, and none that anyone could use.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("randAlphaNum", 1, |call| random(call, ALPHANUMERIC)),
    Function::fixed("randAlpha", 1, |call| random(call, LETTERS)),
    Function::fixed("randNumeric", 1, |call| random(call, "0123456789")),
    Function::fixed("randAscii", 1, |call| random(call, ALPHANUMERIC)),
    Function::fixed("randBytes", 1, |call| {
        let count = count(call)?;
        call.give(BASE64_STANDARD.encode(vec![0; count]))
    }),
    Function::fixed("uuidv4", 0, |_| Ok(Value::from("00000000-0000-4000-8000-000000000000"))),
    Function::fixed("bcrypt", 1, |call| {
        call.string(0)?;
        call.give(BCRYPT)
    }),
    Function::fixed("htpasswd", 2, |call| {
        let user = call.string(0)?;
        call.string(1)?;
        if user.contains(':') {
            return call.give(format!("invalid username: {user}"));
        }
        call.give(format!("{user}:{BCRYPT}"))
    }),
    Function::fixed("derivePassword", 5, derive_password),
    Function::fixed("genPrivateKey", 1, |call| {
        let label = match call.string(0)? {
            "" | "rsa" => "RSA PRIVATE KEY",
            "dsa" => "DSA PRIVATE KEY",
            "ecdsa" => "EC PRIVATE KEY",
            "ed25519" => "PRIVATE KEY",
            other => return call.give(format!("Unknown type {other}")),
        };
        call.give(pem(label))
    }),
    Function::fixed("genCA", 2, |call| {
        call.string(0)?;
        call.int(1)?;
        Ok(certificate(&pem(RSA_KEY)))
    }),
    Function::fixed("genCAWithKey", 3, |call| {
        call.string(0)?;
        call.int(1)?;
        Ok(certificate(call.string(2)?))
    }),
    Function::fixed("genSelfSignedCert", 4, |call| {
        subject(call)?;
        Ok(certificate(&pem(RSA_KEY)))
    }),
    Function::fixed("genSelfSignedCertWithKey", 5, |call| {
        subject(call)?;
        Ok(certificate(call.string(4)?))
    }),
    Function::fixed("genSignedCert", 5, |call| {
        subject(call)?;
        authority(call, 4)?;
        Ok(certificate(&pem(RSA_KEY)))
    }),
    Function::fixed("genSignedCertWithKey", 6, |call| {
        subject(call)?;
        authority(call, 4)?;
        Ok(certificate(call.string(5)?))
    }),
    Function::fixed("buildCustomCert", 2, |call| {
        let decode = |index, what| {
            let bytes = BASE64_STANDARD.decode(call.string(index)?).ok();
            bytes
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| Failure::Message(format!("unable to decode base64 {what}")))
        };
        let (cert, key) = (decode(0, "certificate")?, decode(1, "private key")?);
        Ok(certificate_of(&cert, &key))
    }),
    Function::fixed("encryptAES", 2, |call| {
        call.string(0)?;
        call.give(BASE64_STANDARD.encode([&[0; 16], call.string(1)?.as_bytes()].concat()))
    }),
    // Only what `encryptAES` above gave.
    Function::fixed("decryptAES", 2, |call| {
        call.string(0)?;
        let bytes = BASE64_STANDARD.decode(call.string(1)?).unwrap_or_default();
        match bytes.strip_prefix(&[0; 16]) {
            Some(text) => call.give(String::from_utf8_lossy(text)),
            None => Err(Failure::message("nothing is decrypted when images are looked for")),
        }
    }),
];

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ALPHANUMERIC: &str = "0a1b2c3d4e5f6g7h8i9jAkBlCmDnEoFpGqHrIsJtKuLvMwNxOyPzQRSTUVWXYZ";
/// The form of what bcrypt gives: its version, the cost, 22 characters of salt, 31 of the sum.
const BCRYPT: &str = "$2a$10$OneFixedTextForEveryPasswordBecauseNothingHereIsSecre";
const RSA_KEY: &str = "RSA PRIVATE KEY";

fn count(call: &Call<'_>) -> Result<usize, Failure> {
    let count = usize::try_from(call.int(0)?).unwrap_or(0);
    call.budget().bytes(count)?;
    Ok(count)
}

fn random(call: &Call<'_>, alphabet: &str) -> Result<Value, Failure> {
    let count = count(call)?;
    call.give(alphabet.chars().cycle().take(count).collect::<String>())
}

/// Valid PEM, whose content says what it is not.
fn pem(label: &str) -> String {
    let content = BASE64_STANDARD.encode(format!("{label} of a rendering that only looks for images\n"));
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in content.as_bytes().chunks(64) {
        // Base64 is ASCII.
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out + &format!("-----END {label}-----\n")
}

fn certificate(key: &str) -> Value {
    certificate_of(&pem("CERTIFICATE"), key)
}

const CERTIFICATE: &str = "sprig.certificate";

fn certificate_of(cert: &str, key: &str) -> Value {
    let field = |name, value: &str| Field {
        name,
        json: name,
        omit_empty: false,
        embedded: false,
        value: Value::from(value),
    };
    let fields = vec![field("Cert", cert), field("Key", key)];
    Value::Struct(Arc::new(Struct { type_name: CERTIFICATE, fields }))
}

/// The first four arguments of the functions that make a certificate: name, addresses, names, days.
fn subject(call: &Call<'_>) -> Result<(), Failure> {
    call.string(0)?;
    for index in [1, 2] {
        match call.value(index) {
            Value::Nil => {}
            Value::List(list) => {
                if let Some(other) = list.iter().find(|item| item.as_str().is_none()) {
                    return Err(wrong_type(index, "string", other));
                }
            }
            other => return Err(wrong_type(index, "[]interface {}", other)),
        }
    }
    call.int(3)?;
    Ok(())
}

fn authority(call: &Call<'_>, index: usize) -> Result<(), Failure> {
    match call.value(index) {
        Value::Struct(fields) if fields.type_name == CERTIFICATE => Ok(()),
        other => Err(wrong_type(index, CERTIFICATE, other)),
    }
}

fn derive_password(call: &Call<'_>) -> Result<Value, Failure> {
    call.int(0)?;
    for index in 1..5 {
        call.string(index)?;
    }
    let length = match call.string(1)? {
        "maximum" => 20,
        "long" => 14,
        "medium" | "basic" => 8,
        "short" => 4,
        "pin" => return Ok(Value::from("0123")),
        other => return call.give(format!("cannot find password template {other}")),
    };
    call.give(&ALPHANUMERIC[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_certificates_are_pem() {
        let text = pem("CERTIFICATE");
        let inner = text.strip_prefix("-----BEGIN CERTIFICATE-----\n").unwrap();
        let inner = inner.strip_suffix("-----END CERTIFICATE-----\n").unwrap();
        assert!(inner.lines().all(|line| line.len() <= 64));
        assert!(BASE64_STANDARD.decode(inner.replace('\n', "")).is_ok());
        assert_eq!(BCRYPT.len(), 60);
    }
}
