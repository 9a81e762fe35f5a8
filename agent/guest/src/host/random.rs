//! Randomness from the kernel.

/// `N` random bytes.
///
/// # Errors
/// When the kernel has no source of randomness (a chroot without `/dev/urandom` on a kernel without `getrandom`).
pub fn bytes<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}
