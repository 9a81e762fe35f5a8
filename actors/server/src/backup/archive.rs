//! A tar with a manifest in front, which names every file that follows with its size and checksum.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Component, Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the form. A later one is refused, since nobody knows what it means.
pub const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
pub const KEY: &str = "deployment.key";
pub const USERS: &str = "users.json";
pub const CONFIG: &str = "coffer.toml";
pub const STORE: &str = "store";
/// Bytes of a manifest at most: it is read before anything is known about the file.
const MANIFEST_LIMIT: u64 = 64 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Version of the coffer that wrote it.
    pub coffer: String,
    /// Seconds since 1970.
    pub written_at_s: u64,
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Path below the state directory.
    pub name: String,
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
}

/// Something to put in.
pub struct Source {
    name: String,
    content: Content,
}

enum Content {
    /// Read once, since it may be replaced meanwhile.
    Bytes(Vec<u8>),
    /// Of a checkpoint: it does not change.
    File(PathBuf),
}

impl Source {
    pub fn small(name: &str, path: &Path) -> Result<Self, String> {
        let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { name: name.into(), content: Content::Bytes(bytes) })
    }

    /// The files of a store's copy, which has no directories.
    pub fn store(directory: &Path) -> io::Result<Vec<Self>> {
        let mut sources = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = format!("{STORE}/{}", entry.file_name().to_string_lossy());
            sources.push(Self { name, content: Content::File(entry.path()) });
        }
        sources.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(sources)
    }

    fn reader(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match &self.content {
            Content::Bytes(bytes) => Box::new(&bytes[..]),
            Content::File(path) => Box::new(File::open(path)?),
        })
    }
}

/// Writes the archive and gives the writer back, for its own ending.
pub fn write<W: Write>(sources: &[Source], writer: W) -> io::Result<W> {
    let mut members = Vec::new();
    for source in sources {
        let mut hash = HashWriter::new(io::sink());
        let bytes = io::copy(&mut source.reader()?, &mut hash)?;
        members.push(Member { name: source.name.clone(), bytes, sha256: hash.hex() });
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let manifest = Manifest { format: FORMAT, coffer: env!("CARGO_PKG_VERSION").into(), written_at_s: now, members };
    let mut tar = tar::Builder::new(writer);
    let text = serde_json::to_vec_pretty(&manifest)?;
    append(&mut tar, MANIFEST, text.len() as u64, now, &text[..])?;
    for (source, member) in sources.iter().zip(&manifest.members) {
        append(&mut tar, &member.name, member.bytes, now, source.reader()?.take(member.bytes))?;
    }
    tar.into_inner()
}

fn append<W: Write>(tar: &mut tar::Builder<W>, name: &str, bytes: u64, now: u64, content: impl Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(now);
    tar.append_data(&mut header, name, content)
}

/// Unpacks an archive into an empty directory and verifies every file of it.
///
/// # Errors
/// When the form is a later one, a file is missing, superfluous or not what the manifest says, or cannot be written.
pub fn unpack(reader: impl Read, directory: &Path) -> Result<Manifest, String> {
    let mut tar = tar::Archive::new(reader);
    let mut entries = tar.entries().map_err(damaged)?;
    let first = entries.next().ok_or("it is empty, or no backup")?.map_err(damaged)?;
    if first.path_bytes() != MANIFEST.as_bytes() {
        return Err("it is no backup of coffer: it does not begin with a manifest".into());
    }
    let mut text = Vec::new();
    first.take(MANIFEST_LIMIT).read_to_end(&mut text).map_err(damaged)?;
    let manifest = read_manifest(&text)?;
    for member in &manifest.members {
        let mut entry = entries.next().ok_or_else(|| format!("{} is missing", member.name))?.map_err(damaged)?;
        if entry.path_bytes() != member.name.as_bytes() {
            return Err(format!("{} is missing", member.name));
        }
        let path = directory.join(place_of(&member.name)?);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
        }
        let mut written = || -> io::Result<(u64, String)> {
            let mut writer = HashWriter::new(File::create_new(&path)?);
            let bytes = io::copy(&mut entry, &mut writer)?;
            writer.inner.sync_all()?;
            Ok((bytes, writer.hex()))
        };
        let (bytes, sha256) = written().map_err(|error| format!("{}: {error}", member.name))?;
        if (bytes, &sha256) != (member.bytes, &member.sha256) {
            return Err(format!("{} is not what the manifest says: the archive is damaged", member.name));
        }
    }
    match entries.next() {
        None => Ok(manifest),
        Some(_) => Err("there is more in it than the manifest names".into()),
    }
}

fn read_manifest(text: &[u8]) -> Result<Manifest, String> {
    #[derive(Deserialize)]
    struct Form {
        format: u32,
        coffer: String,
    }
    let Form { format, coffer } = serde_json::from_slice(text).map_err(|error| format!("its manifest: {error}"))?;
    if format > FORMAT {
        return Err(format!(
            "coffer {coffer} wrote it in form {format}, and this is coffer {}, which reads up to form {FORMAT}: restore \
             it with the newer coffer",
            env!("CARGO_PKG_VERSION")
        ));
    }
    serde_json::from_slice(text).map_err(|error| format!("its manifest: {error}"))
}

/// Where a member goes: known names only, and nothing that leads elsewhere.
fn place_of(name: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(name);
    let parts: Vec<Component<'_>> = path.components().collect();
    let is_known = match parts[..] {
        [Component::Normal(file)] => [KEY, USERS, CONFIG].iter().any(|known| file == *known),
        [Component::Normal(directory), Component::Normal(_)] => directory == STORE,
        _ => false,
    };
    if is_known { Ok(path) } else { Err(format!("{name:?} is no part of a backup")) }
}

fn damaged(error: io::Error) -> String {
    format!("the archive is damaged or no backup: {error}")
}

/// Hashes what it passes on.
struct HashWriter<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> HashWriter<W> {
    fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new() }
    }

    fn hex(&self) -> String {
        self.hash.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl<W: Write> Write for HashWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, content: &[u8]) -> Source {
        Source { name: name.into(), content: Content::Bytes(content.to_vec()) }
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let bytes = write(&[source(KEY, b"k"), source("store/CURRENT", b"MANIFEST-1\n")], Vec::new()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let manifest = unpack(&bytes[..], directory.path()).unwrap();
        assert_eq!(manifest.members.len(), 2);
        assert_eq!(fs::read(directory.path().join("store/CURRENT")).unwrap(), b"MANIFEST-1\n");
    }

    #[test]
    fn every_flipped_byte_of_a_content_is_noticed() {
        let bytes = write(&[source(KEY, b"precious")], Vec::new()).unwrap();
        let place = bytes.windows(8).position(|window| window == b"precious").unwrap();
        for offset in 0..8 {
            let mut damaged = bytes.clone();
            damaged[place + offset] ^= 1;
            let directory = tempfile::tempdir().unwrap();
            assert!(unpack(&damaged[..], directory.path()).unwrap_err().contains("damaged"));
        }
    }

    #[test]
    fn a_cut_archive_is_noticed_wherever_it_is_cut() {
        let bytes = write(&[source(KEY, b"one"), source(USERS, b"two")], Vec::new()).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        for length in (0..=end).step_by(97) {
            let directory = tempfile::tempdir().unwrap();
            assert!(unpack(&bytes[..length], directory.path()).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn a_later_form_is_refused_by_name() {
        let error = read_manifest(br#"{"format": 2, "coffer": "9.0.0", "surprise": []}"#).unwrap_err();
        assert!(error.contains("9.0.0") && error.contains("form 2"), "{error}");
    }

    #[test]
    fn nothing_is_put_outside_of_its_place() {
        for name in ["../users.json", "/etc/passwd", "store/../deployment.key", "store/a/b", "other", "store"] {
            assert!(place_of(name).is_err(), "{name}");
        }
        for name in [KEY, USERS, CONFIG, "store/000004.sst"] {
            assert_eq!(place_of(name).unwrap(), Path::new(name));
        }
    }
}
