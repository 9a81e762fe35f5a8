//! Output of programs that write to a file on their own, kept within bounds.

use std::{fs, io, os::unix::fs::OpenOptionsExt, path::Path};

/// A log is cut when it is larger. With its predecessor (`NAME.1`) it takes at most about twice this.
const MAX_LOG_BYTES: u64 = 8 * 1024 * 1024;

/// Opens a log for a program that will append to it.
pub(super) fn open(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Copies a log that has grown too large to `NAME.1` and empties it. Its writer goes on at the new end, because it
/// appends; a line that it writes between the two steps is lost, which is the price of not standing in its way.
pub(super) fn bound(path: &Path) {
    let too_large = fs::metadata(path).is_ok_and(|metadata| metadata.len() > MAX_LOG_BYTES);
    if !too_large {
        return;
    }
    let mut previous = path.as_os_str().to_owned();
    previous.push(".1");
    let cut = fs::copy(path, previous)
        .and_then(|_| fs::OpenOptions::new().write(true).open(path))
        .and_then(|log| log.set_len(0));
    if let Err(error) = cut {
        tracing::warn!(%error, log = %path.display(), "log cannot be cut");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_large_log_is_cut_and_its_writer_goes_on() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("agent.log");
        let mut writer = open(&path).expect("a log");
        writer.write_all(b"small").expect("written");
        bound(&path);
        assert_eq!(fs::read(&path).expect("kept"), b"small");

        let many = vec![b'x'; usize::try_from(MAX_LOG_BYTES).expect("fits")];
        writer.write_all(&many).expect("written");
        bound(&path);
        writer.write_all(b"after").expect("written");
        assert_eq!(fs::read(&path).expect("cut"), b"after");
        let previous = fs::metadata(directory.path().join("agent.log.1")).expect("kept aside");
        assert_eq!(previous.len(), MAX_LOG_BYTES + 5);
    }
}
