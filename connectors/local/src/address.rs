//! The durable allocator of addresses: each instance gets a 127.x.y.z of its own, and keeps it.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, TcpListener},
    ops::RangeInclusive,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use coffer_ports::{Error, ErrorKind, Result};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    error::OrFail,
    files::{read_json, remove_file, sync_parent, write_json},
    layout::{InstanceId, Layout},
    lock::ChangesLock,
    spec::{RECORD_VERSION, instances_in},
};

/// Last octets in use: 1 to 254, so that no address looks like a network or a broadcast.
const HOSTS_PER_NET: u32 = 254;
/// Addresses of one root: 127.S.0.1 to 127.S.255.254, with S from the root's path.
const ADDRESSES: u32 = 256 * HOSTS_PER_NET;
/// Engines listen here; an address on which somebody else does is not given out.
const PROBED_PORT: u16 = 3306;
/// Addresses tried per allocation before giving up.
const MAX_PROBES: u32 = 256;
/// User ids of guests begin here, above those of people and services and the first range of `/etc/subuid`.
const FIRST_GUEST_UID: u32 = 700_000;

/// `addresses/INSTANCE.json`.
#[derive(Serialize, Deserialize)]
struct Record {
    version: u16,
    tenant: String,
    ip: Ipv4Addr,
}

pub(crate) struct Allocator {
    layout: Layout,
    /// Second octet of the addresses that this root gives out.
    slot: u8,
    state: Mutex<State>,
}

struct State {
    /// The count of changes, by all processes, that `given` is up to date with.
    changes: u64,
    given: BTreeMap<InstanceId, Ipv4Addr>,
    /// Where to look next. Going round, a released address rests for as long as possible: a client that still has it
    /// in its configuration must not end up at another tenant's database.
    cursor: u32,
}

impl Allocator {
    /// Reads what was given out before.
    pub(crate) fn open(layout: &Layout) -> Result<Self> {
        let (changes, given) = given_out(layout, &mut ChangesLock::take(layout)?)?;
        let (slot, first) = range_of(layout.root());
        let last = given.values().filter_map(|ip| index_of(slot, *ip)).max();
        let state = State { changes, given, cursor: last.map_or(first, |last| last + 1) };
        Ok(Self { layout: layout.clone(), slot, state: Mutex::new(state) })
    }

    /// The instance's address; a new one, on disk before this returns, if it has none.
    pub(crate) fn ensure(&self, instance: InstanceId, tenant: &str) -> Result<Ipv4Addr> {
        let mut state = self.state();
        let mut lock = self.current(&mut state)?;
        if let Some(ip) = state.given.get(&instance) {
            return Ok(*ip);
        }
        for _ in 0..MAX_PROBES {
            let index = state.cursor % ADDRESSES;
            state.cursor = index + 1;
            let ip = address(self.slot, index);
            if state.given.values().any(|given| *given == ip) || !is_free(ip)? {
                continue;
            }
            let record = Record { version: RECORD_VERSION, tenant: tenant.to_owned(), ip };
            write_json(&self.layout.address(instance), &record, 0o600)?;
            state.given.insert(instance, ip);
            self.changed(&mut state, &mut lock)?;
            return Ok(ip);
        }
        let message = format!(
            "no free address among {MAX_PROBES} tried in 127.{}.0.0/16: port {PROBED_PORT} is taken on each; \
             a database server that listens on all addresses (0.0.0.0) takes it everywhere",
            self.slot
        );
        Err(Error::new(ErrorKind::Exhausted, "local.no_free_address", message))
    }

    /// The instance's address, if it has one.
    pub(crate) fn get(&self, instance: InstanceId) -> Result<Option<Ipv4Addr>> {
        recorded(&self.layout, instance)
    }

    pub(crate) fn release(&self, instance: InstanceId) -> Result<()> {
        let mut state = self.state();
        let mut lock = self.current(&mut state)?;
        let path = self.layout.address(instance);
        remove_file(&path)?;
        sync_parent(&path)?;
        state.given.remove(&instance);
        self.changed(&mut state, &mut lock)
    }

    /// Keeps other processes from changing anything, and knows what they have changed.
    fn current(&self, state: &mut State) -> Result<ChangesLock> {
        let mut lock = ChangesLock::take(&self.layout)?;
        if lock.changes().or_fail("read", &self.layout.changes_lock())? != state.changes {
            (state.changes, state.given) = given_out(&self.layout, &mut lock)?;
        }
        Ok(lock)
    }

    /// Has other processes know that something was changed.
    fn changed(&self, state: &mut State, lock: &mut ChangesLock) -> Result<()> {
        state.changes += 1;
        lock.set_changes(state.changes).or_fail("write", &self.layout.changes_lock())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All addresses that were given out, with the count of changes that this is of.
fn given_out(layout: &Layout, lock: &mut ChangesLock) -> Result<(u64, BTreeMap<InstanceId, Ipv4Addr>)> {
    let changes = lock.changes().or_fail("read", &layout.changes_lock())?;
    let mut given = BTreeMap::new();
    for instance in instances_in(&layout.addresses())? {
        if let Some(record) = read_json::<Record>(&layout.address(instance))? {
            given.insert(instance, record.ip);
        }
    }
    Ok((changes, given))
}

/// The user and group id of the guest at this address: as unique on the host as the address is.
pub(crate) fn guest_uid(ip: Ipv4Addr) -> u32 {
    FIRST_GUEST_UID + (u32::from(ip) & 0x00ff_ffff)
}

/// The user ids that the guests of a root can have; none unless we are root, since all guests are us then.
pub(crate) fn guest_uids(root: &Path) -> RangeInclusive<u32> {
    if !geteuid().is_root() {
        return RangeInclusive::new(1, 0);
    }
    let (slot, _) = range_of(root);
    guest_uid(address(slot, 0))..=guest_uid(address(slot, ADDRESSES - 1))
}

/// The address in an instance's record.
pub(crate) fn recorded(layout: &Layout, instance: InstanceId) -> Result<Option<Ipv4Addr>> {
    Ok(read_json::<Record>(&layout.address(instance))?.map(|record| record.ip))
}

/// Second octet and first index, from the root's path and our user: two Coffers on one host should not meet, as neither
/// sees what the other has given out but does not use yet.
fn range_of(root: &Path) -> (u8, u32) {
    let mut hash = Sha256::new();
    hash.update(root.as_os_str().as_bytes());
    hash.update(geteuid().as_raw().to_be_bytes());
    let hash = hash.finalize();
    // 1 to 254: 127.0.0.0/16 is where everybody else is.
    (hash[0] % 254 + 1, u32::from(u16::from_be_bytes([hash[1], hash[2]])) % ADDRESSES)
}

fn address(slot: u8, index: u32) -> Ipv4Addr {
    let octets = (index / HOSTS_PER_NET) << 8 | (index % HOSTS_PER_NET + 1);
    Ipv4Addr::from(u32::from_be_bytes([127, slot, 0, 0]) | octets)
}

fn index_of(slot: u8, ip: Ipv4Addr) -> Option<u32> {
    let [_, second, third, fourth] = ip.octets();
    (second == slot && fourth != 0).then(|| u32::from(third) * HOSTS_PER_NET + u32::from(fourth) - 1)
}

fn is_free(ip: Ipv4Addr) -> Result<bool> {
    match TcpListener::bind((ip, PROBED_PORT)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(false),
        Err(error) => Err(error).or_fail("listen on", Path::new(&format!("{ip}:{PROBED_PORT}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_distinct_and_never_meet_127_0() {
        assert_eq!(address(1, 0), Ipv4Addr::new(127, 1, 0, 1));
        assert_eq!(address(254, ADDRESSES - 1), Ipv4Addr::new(127, 254, 255, 254));
        for index in 0..ADDRESSES {
            assert_eq!(index_of(9, address(9, index)), Some(index));
        }
        for name in 0..1000 {
            let (slot, first) = range_of(Path::new(&format!("/srv/coffer-{name}")));
            assert!(slot != 0 && first < ADDRESSES);
        }
    }
}
