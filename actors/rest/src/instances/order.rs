//! The body of `POST /instances`, whose shape is [`crate::bodies::NewInstance`]. Unknown keys are ignored, as in Trove.
//!
//! Keys that ask for what Coffer does not do yet are refused with 501, so that nobody takes an empty database for a
//! restored one. Two wishes are checked in shape and then not looked at, since an instance without them is the same
//! instance in another place: `availability_zone`, and the network of `nics` (the provider has one network for the
//! instances of a tenant). A fixed address is not such a wish, and is refused.

use std::{collections::BTreeSet, net::Ipv4Addr};

use coffer_domain::{
    command::{Access, NewDatabase},
    ids::GroupId,
};
use serde_json::Value;

use crate::{
    databases,
    error::{Error, Result},
    request_id::uuid_of,
    schema::Node,
    users::{self, UserRequest},
};

/// A well-formed order, its words not yet looked up.
pub(crate) struct Order<'a> {
    pub name: &'a str,
    /// Id of a flavor.
    pub flavor: String,
    pub volume: Option<Volume<'a>>,
    pub datastore: DatastoreChoice<'a>,
    pub databases: Vec<NewDatabase>,
    pub users: Vec<UserRequest<'a>>,
    pub access: Access,
    pub region: Option<&'a str>,
    pub configuration: Option<GroupId>,
}

pub(crate) struct Volume<'a> {
    /// Absent when no volume can be so large.
    pub size_gib: Option<u32>,
    /// The size as the client wrote it.
    pub shown_size: String,
    /// Volume type.
    pub kind: Option<&'a str>,
}

impl Volume<'_> {
    /// The size in GiB, unless it is larger than `maximum`.
    pub fn within(&self, maximum: u32) -> Result<u32> {
        self.size_gib.filter(|size| *size <= maximum).ok_or_else(|| {
            let size = &self.shown_size;
            Error::over_limit(format!(
                "Volume 'size' cannot exceed maximum of {maximum} GB, {size} cannot be accepted."
            ))
        })
    }
}

#[derive(Default)]
pub(crate) struct DatastoreChoice<'a> {
    /// By id or name.
    pub datastore: Option<&'a str>,
    /// By id or name.
    pub version: Option<&'a str>,
    pub number: Option<&'a str>,
}

impl<'a> Order<'a> {
    pub fn parse(instance: &Node<'a>) -> Result<Self> {
        let name = instance.required("name")?.non_empty()?;
        refuse_what_is_not_there(instance)?;
        check_placement(instance)?;
        Ok(Self {
            name,
            flavor: flavor_id(&instance.required("flavorRef")?)?,
            volume: instance.parsed("volume", volume)?,
            datastore: instance.parsed("datastore", datastore)?.unwrap_or_default(),
            databases: instance.parsed("databases", databases::parse)?.unwrap_or_default(),
            users: instance.parsed("users", users::parse)?.unwrap_or_default(),
            access: instance.non_null("access")?.map(|node| access(&node)).transpose()?.unwrap_or_default(),
            region: instance.parsed("region_name", Node::non_empty)?,
            configuration: instance.non_null("configuration")?.map(|node| group_id(&node)).transpose()?,
        })
    }
}

/// Wishes that Coffer cannot fulfil yet.
const ABSENT: [&str; 4] = ["replica_of", "slave_of", "restorePoint", "modules"];

fn refuse_what_is_not_there(instance: &Node<'_>) -> Result<()> {
    for key in ABSENT {
        let Some(wanted) = instance.non_null(key)? else { continue };
        // No modules at all are no wish.
        if wanted.value().as_array().is_none_or(|items| !items.is_empty()) {
            return Err(not_supported(key));
        }
    }
    if let Some(count) = instance.optional("replica_count")? {
        let number = count.whole().ok_or_else(|| count.mistyped("integer"))?;
        if number != 1 {
            return Err(Error::bad_request(format!(
                "Replica count only valid when creating replicas. Cannot create {number} instances."
            )));
        }
    }
    Ok(())
}

fn not_supported(key: &str) -> Error {
    Error::not_implemented(format!("The option '{key}' of an instance is not supported yet."))
}

/// Where the instance is to be.
fn check_placement(instance: &Node<'_>) -> Result<()> {
    const LOCALITIES: [&str; 4] = ["affinity", "soft-affinity", "anti-affinity", "soft-anti-affinity"];
    instance.parsed("availability_zone", Node::non_empty)?;
    if let Some(node) = instance.optional("locality")? {
        // It places the replicas that are ordered together: one instance alone is anywhere near itself.
        let locality = node.non_empty()?;
        if !LOCALITIES.contains(&locality) {
            let list = LOCALITIES.join("', '");
            return Err(Error::bad_request(format!("Invalid locality '{locality}'. Must be one of ['{list}']")));
        }
    }
    instance.parsed("nics", check_nics)?;
    Ok(())
}

/// One network or none.
pub(crate) fn check_nics(nics: &Node<'_>) -> Result<()> {
    match &nics.items()?[..] {
        [] => Ok(()),
        [nic] => check_nic(nic),
        _ => Err(nics.fails("[...] is too long")),
    }
}

fn check_nic(nic: &Node<'_>) -> Result<()> {
    const KEYS: [&str; 4] = ["net-id", "network_id", "subnet_id", "ip_address"];
    if let Some(key) = nic.keys()?.find(|key| !KEYS.contains(key)) {
        return Err(nic.unexpected(key));
    }
    let mut has_network = false;
    for key in ["net-id", "network_id", "subnet_id"] {
        has_network |= nic.parsed(key, Node::uuid)?.is_some();
    }
    if let Some(node) = nic.optional("ip_address")? {
        if node.text()?.parse::<Ipv4Addr>().is_err() {
            return Err(node.fails(format!("{} is not an IPv4 address", node.shown())));
        }
        if nic.optional("subnet_id")?.is_none() {
            return Err(Error::bad_request("Network is not provided: 'ip_address' needs 'subnet_id'."));
        }
        return Err(not_supported("ip_address"));
    }
    if has_network { Ok(()) } else { Err(Error::bad_request("Network is not provided: name a network or subnet.")) }
}

/// A flavor's id as a string or an integer, or a URL that ends in it.
pub(crate) fn flavor_id(node: &Node<'_>) -> Result<String> {
    match node.value() {
        Value::String(_) => {
            let text = node.non_empty()?;
            let path = text.split(['?', '#']).next().unwrap_or_default();
            Ok(path.rsplit('/').next().unwrap_or_default().to_owned())
        }
        _ => match node.whole() {
            Some(number) => Ok(number.to_string()),
            None => Err(node.fails(format!("{} is not valid under any of the given schemas", node.shown()))),
        },
    }
}

/// A configuration group's id, or a URL that ends in it.
pub(crate) fn group_id(node: &Node<'_>) -> Result<GroupId> {
    let text = node.text()?;
    let last = text.split(['?', '#']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    uuid_of(last).map(GroupId).ok_or_else(|| node.fails(format!("{} is not a UUID", node.shown())))
}

pub(crate) fn volume<'a>(node: &Node<'a>) -> Result<Volume<'a>> {
    let size = node.required("size")?;
    let shown_size = match (size.value(), size.whole()) {
        (_, Some(number)) => number.to_string(),
        (Value::String(text), _) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => text.clone(),
        _ => return Err(size.fails(format!("{} is not valid under any of the given schemas", size.shown()))),
    };
    let digits = shown_size.trim_start_matches('0');
    if digits.is_empty() || digits.starts_with('-') {
        return Err(size.fails(format!("{shown_size} is less than the minimum of 1")));
    }
    let kind = node.non_null("type")?.map(|kind| kind.non_empty()).transpose()?;
    const SHOWN: usize = 20;
    Ok(Volume { size_gib: digits.parse().ok(), shown_size: shown_size.chars().take(SHOWN).collect(), kind })
}

pub(crate) fn datastore<'a>(node: &Node<'a>) -> Result<DatastoreChoice<'a>> {
    Ok(DatastoreChoice {
        datastore: node.parsed("type", Node::non_empty)?,
        version: node.parsed("version", Node::non_empty)?,
        number: node.parsed("version_number", Node::non_empty)?,
    })
}

fn access(node: &Node<'_>) -> Result<Access> {
    let is_public = node.parsed("is_public", Node::boolean)?;
    Ok(Access { is_public, allowed_cidrs: node.parsed("allowed_cidrs", cidrs)? })
}

/// IPv4 networks, each once.
pub(crate) fn cidrs(list: &Node<'_>) -> Result<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut cidrs = Vec::new();
    for item in list.items()? {
        let cidr = item.text()?;
        if !is_cidr(cidr) {
            return Err(item.fails(format!("{} is not an IPv4 network", item.shown())));
        }
        if !seen.insert(cidr) {
            return Err(list.fails("[...] has non-unique elements"));
        }
        cidrs.push(cidr.to_owned());
    }
    Ok(cidrs)
}

/// `a.b.c.d` or `a.b.c.d/n`.
fn is_cidr(text: &str) -> bool {
    const LONGEST_PREFIX: u8 = 32;
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let is_prefix = |prefix: &str| {
        prefix.bytes().all(|byte| byte.is_ascii_digit()) && prefix.parse::<u8>().is_ok_and(|n| n <= LONGEST_PREFIX)
    };
    address.parse::<Ipv4Addr>().is_ok() && prefix.is_none_or(is_prefix)
}
