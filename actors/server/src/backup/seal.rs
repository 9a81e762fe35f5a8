//! An archive encrypted with a passphrase: Argon2id makes the key, XChaCha20-Poly1305 seals one chunk after the other.
//!
//! ```text
//! coffer-sealed-backup\n
//! {"format":1,"memory_kib":…,"passes":…,"lanes":…,"salt":"…","nonce":"…"}\n
//! chunk… : 65536 bytes sealed, 16 bytes more each; the last one may be shorter
//! ```
//!
//! The nonce of a chunk is 19 random bytes, its number (4 bytes, big endian) and whether it is the last one, as in the
//! STREAM construction: chunks can be neither left out, exchanged nor cut off. Both lines are associated data of each.

use std::{
    fs,
    io::{self, BufRead, Read, Write},
    path::Path,
};

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use coffer_runtime::vault::random;
use serde::{Deserialize, Serialize};

pub const MAGIC: &[u8] = b"coffer-sealed-backup\n";
const FORMAT: u32 = 1;
/// Bytes of plaintext in each chunk but the last.
pub const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;
const PREFIX: usize = 19;
/// What deriving a key costs: a fraction of a second for us, and as much for every guess.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// What a file may ask of us at most.
const MEMORY_LIMIT_KIB: u32 = 1024 * 1024;
const PASSES_LIMIT: u32 = 32;
const LANES_LIMIT: u32 = 8;
/// Bytes of a header at most.
const HEADER_LIMIT: u64 = 1024;
/// Bytes of a passphrase at least.
const SHORTEST: usize = 12;

/// What an operator keeps apart from the archive.
pub struct Passphrase(Vec<u8>);

impl Passphrase {
    /// Reads a file; one line end at its end does not count.
    pub fn read(path: &Path) -> Result<Self, String> {
        let mut bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        for end in [b'\n', b'\r'] {
            bytes.pop_if(|last| *last == end);
        }
        if bytes.len() < SHORTEST {
            return Err(format!("{}: a passphrase has at least {SHORTEST} bytes", path.display()));
        }
        Ok(Self(bytes))
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: [u8; 16],
    nonce: [u8; PREFIX],
}

impl Header {
    fn cipher(&self, passphrase: &Passphrase) -> Result<XChaCha20Poly1305, String> {
        if self.memory_kib > MEMORY_LIMIT_KIB || self.passes > PASSES_LIMIT || self.lanes > LANES_LIMIT {
            return Err("it asks for more memory or time than any backup of ours".into());
        }
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(|error| error.to_string())?;
        let mut key = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(&passphrase.0, &self.salt, &mut key)
            .map_err(|error| error.to_string())?;
        Ok(XChaCha20Poly1305::new(&key.into()))
    }
}

/// The cipher with what names each chunk.
struct Stream {
    cipher: XChaCha20Poly1305,
    prefix: [u8; PREFIX],
    header: Vec<u8>,
    next: u32,
}

impl Stream {
    fn nonce(&mut self, is_last: bool) -> io::Result<XNonce> {
        let mut nonce = [0; PREFIX + 5];
        nonce[..PREFIX].copy_from_slice(&self.prefix);
        nonce[PREFIX..PREFIX + 4].copy_from_slice(&self.next.to_be_bytes());
        nonce[PREFIX + 4] = u8::from(is_last);
        self.next = self.next.checked_add(1).ok_or_else(|| io::Error::other("a backup holds at most 256 TiB"))?;
        Ok(XNonce::from(nonce))
    }
}

/// Seals what is written to it. Without [`SealWriter::finish`] the file counts as cut off.
pub struct SealWriter<W> {
    inner: W,
    stream: Stream,
    chunk: Vec<u8>,
}

impl<W: Write> SealWriter<W> {
    pub fn start(mut inner: W, passphrase: &Passphrase) -> io::Result<Self> {
        let header = Header {
            format: FORMAT,
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: random(),
            nonce: random(),
        };
        let cipher = header.cipher(passphrase).map_err(io::Error::other)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(serde_json::to_vec(&header)?);
        bytes.push(b'\n');
        inner.write_all(&bytes)?;
        let stream = Stream { cipher, prefix: header.nonce, header: bytes, next: 0 };
        Ok(Self { inner, stream, chunk: Vec::with_capacity(CHUNK) })
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let nonce = self.stream.nonce(is_last)?;
        let payload = Payload { msg: &self.chunk, aad: &self.stream.header };
        let sealed = self.stream.cipher.encrypt(&nonce, payload).map_err(|_| io::Error::other("cannot seal"))?;
        self.chunk.clear();
        self.inner.write_all(&sealed)
    }

    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.inner.flush()?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for SealWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits for one more byte: only then it is not the last one.
        if self.chunk.len() == CHUNK {
            self.seal(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Opens a sealed archive chunk by chunk; nothing that is not authentic comes out of it.
pub struct OpenReader<R> {
    inner: R,
    stream: Stream,
    chunk: Vec<u8>,
    read: usize,
    is_over: bool,
}

impl<R: BufRead> OpenReader<R> {
    pub fn start(mut inner: R, passphrase: &Passphrase) -> Result<Self, String> {
        let mut bytes = Vec::new();
        for _ in 0..2 {
            inner.by_ref().take(HEADER_LIMIT).read_until(b'\n', &mut bytes).map_err(|error| error.to_string())?;
        }
        let text = bytes.strip_prefix(MAGIC).ok_or("it is no sealed backup")?;
        let header: Header = serde_json::from_slice(text).map_err(|error| format!("its header: {error}"))?;
        if header.format > FORMAT {
            return Err(format!("it is sealed in form {}; this coffer reads up to form {FORMAT}", header.format));
        }
        let cipher = header.cipher(passphrase)?;
        let stream = Stream { cipher, prefix: header.nonce, header: bytes, next: 0 };
        Ok(Self { inner, stream, chunk: Vec::new(), read: 0, is_over: false })
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let mut sealed = Vec::new();
        self.inner.by_ref().take((CHUNK + TAG) as u64).read_to_end(&mut sealed)?;
        self.is_over = self.inner.fill_buf()?.is_empty();
        let is_first = self.stream.next == 0;
        let nonce = self.stream.nonce(self.is_over)?;
        let payload = Payload { msg: &sealed, aad: &self.stream.header };
        self.chunk = self.stream.cipher.decrypt(&nonce, payload).map_err(|_| {
            io::Error::other(if is_first {
                "the passphrase is wrong, or the archive is damaged"
            } else {
                "the archive is damaged or cut off"
            })
        })?;
        self.read = 0;
        Ok(())
    }
}

impl<R: BufRead> Read for OpenReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.chunk.len() && !self.is_over {
            self.next_chunk()?;
        }
        let rest = &self.chunk[self.read..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase(text.as_bytes().to_vec())
    }

    fn sealed(content: &[u8]) -> Vec<u8> {
        let mut writer = SealWriter::start(Vec::new(), &passphrase("correct horse")).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap()
    }

    fn opened(bytes: &[u8], words: &str) -> Result<Vec<u8>, String> {
        let mut reader = OpenReader::start(bytes, &passphrase(words))?;
        let mut content = Vec::new();
        reader.read_to_end(&mut content).map_err(|error| error.to_string())?;
        Ok(content)
    }

    #[test]
    fn contents_of_every_length_around_a_chunk_come_back() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK] {
            let content: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            assert_eq!(opened(&sealed(&content), "correct horse").unwrap(), content, "{length}");
        }
    }

    #[test]
    fn another_passphrase_opens_nothing() {
        assert!(opened(&sealed(b"secret"), "incorrect horse").unwrap_err().contains("passphrase"));
    }

    #[test]
    fn damage_cuts_and_exchanged_chunks_are_noticed() {
        let whole = sealed(&vec![7; 3 * CHUNK]);
        let start = whole.len() - 3 * (CHUNK + TAG);
        let mut flipped = whole.clone();
        flipped[start + CHUNK + 100] ^= 1;
        assert!(opened(&flipped, "correct horse").is_err());
        // At a border and within a chunk.
        assert!(opened(&whole[..start + 2 * (CHUNK + TAG)], "correct horse").is_err());
        assert!(opened(&whole[..whole.len() - 1], "correct horse").is_err());
        let mut exchanged = whole.clone();
        let (one, two) = exchanged[start..start + 2 * (CHUNK + TAG)].split_at_mut(CHUNK + TAG);
        one.swap_with_slice(two);
        assert!(opened(&exchanged, "correct horse").is_err());
        let mut header = whole;
        let digit = header.iter().position(|byte| *byte == b'3').unwrap();
        header[digit] = b'2';
        assert!(opened(&header, "correct horse").is_err());
    }
}
