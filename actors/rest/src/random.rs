//! What must not be guessed: ids and generated passwords, from the operating system's generator.

use uuid::Uuid;

use crate::error::{Error, Result};

/// Characters of a generated password (Trove's `default_password_length`).
pub(crate) const PASSWORD_LENGTH: usize = 36;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A random UUID, version 4.
pub(crate) fn uuid() -> Result<Uuid> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// [`PASSWORD_LENGTH`] letters and digits, each equally likely.
pub(crate) fn password() -> Result<String> {
    // Bytes from here on would make the first characters of the alphabet a little likelier than the others.
    const FAIR: usize = 256 - 256 % ALPHABET.len();
    let mut password = String::with_capacity(PASSWORD_LENGTH);
    while password.len() < PASSWORD_LENGTH {
        let mut bytes = [0; PASSWORD_LENGTH];
        fill(&mut bytes)?;
        let fair = bytes.into_iter().map(usize::from).filter(|byte| *byte < FAIR);
        let characters = fair.map(|byte| char::from(ALPHABET[byte % ALPHABET.len()]));
        password.extend(characters.take(PASSWORD_LENGTH - password.len()));
    }
    Ok(password)
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| Error::internal(format!("No random numbers to be had: {error}.")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn passwords_have_their_length_and_alphabet_and_differ() {
        let passwords: BTreeSet<String> = (0..200).map(|_| password().unwrap()).collect();
        assert_eq!(passwords.len(), 200);
        for password in &passwords {
            assert_eq!(password.len(), PASSWORD_LENGTH);
            assert!(password.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
        let used: BTreeSet<char> = passwords.iter().flat_map(|password| password.chars()).collect();
        assert_eq!(used.len(), ALPHABET.len());
    }

    #[test]
    fn uuids_are_random_ones() {
        let uuid = uuid().unwrap();
        assert_eq!(uuid.get_version(), Some(uuid::Version::Random));
        assert_ne!(uuid, super::uuid().unwrap());
    }
}
