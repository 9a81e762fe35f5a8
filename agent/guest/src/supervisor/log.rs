//! The engine's log file: bounded, and asked for the engine's last words.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// Size at which the log starts anew.
const MAX_LOG_BYTES: u64 = 8 << 20;
/// How much of its end is kept then, in a file beside it.
const KEPT_BYTES: u64 = 1 << 20;
/// How far back the last words are looked for.
const LAST_WORDS_BYTES: u64 = 16 << 10;

/// How many of the last errors are told.
const ERRORS_MAX: usize = 3;

/// Starts the log anew when it is too long, keeping its end as `<log>.1`. The engine keeps the file open to append,
/// so that it goes on at the new start; lines written between the copy and the cut are lost.
pub fn bound(log: &Path) -> io::Result<()> {
    if fs::metadata(log)?.len() <= MAX_LOG_BYTES {
        return Ok(());
    }
    fs::write(log.with_added_extension("1"), tail(log, KEPT_BYTES)?)?;
    OpenOptions::new().write(true).open(log)?.set_len(0)
}

/// The last errors in the log, or else its last line; empty when there is none.
pub fn last_words(log: &Path) -> String {
    let tail = tail(log, LAST_WORDS_BYTES).unwrap_or_default();
    let tail = String::from_utf8_lossy(&tail);
    let lines = || tail.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    // The cause stands before the complaint that nothing works without it.
    let mut errors: Vec<&str> = lines().filter(|line| line.contains("ERROR")).take(ERRORS_MAX).collect();
    errors.reverse();
    if errors.is_empty() { lines().next().unwrap_or_default().to_owned() } else { errors.join("; ") }
}

fn tail(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(bytes);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail)?;
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_long_log_starts_anew_under_its_writer_and_keeps_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("engine.log");
        let mut writer = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        bound(&path).unwrap();
        writer.write_all(&vec![b'x'; usize::try_from(MAX_LOG_BYTES).unwrap()]).unwrap();
        writer.write_all(b"\nthe end\n").unwrap();
        bound(&path).unwrap();
        writer.write_all(b"the start\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"the start\n");
        let kept = fs::read(directory.path().join("engine.log.1")).unwrap();
        assert_eq!(kept.len() as u64, KEPT_BYTES);
        assert!(kept.ends_with(b"\nthe end\n"));
    }

    #[test]
    fn the_last_errors_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("engine.log");
        assert_eq!(last_words(&path), "");
        fs::write(&path, "[ERROR] old\n[ERROR] a\n[ERROR] disk full\n[Note] b\n[ERROR] aborting\n[Note] bye\n")
            .unwrap();
        assert_eq!(last_words(&path), "[ERROR] a; [ERROR] disk full; [ERROR] aborting");
        fs::write(&path, "[Note] a\n[Note] bye\n\n").unwrap();
        assert_eq!(last_words(&path), "[Note] bye");
    }
}
