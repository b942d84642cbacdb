//! The calls of the registry as a script that Redis runs, and its answers.

use peerstar_core::cluster::registry::{Call, Record, Registered, Reply, Standing, View};
use peerstar_core::cluster::{Fence, Generation, NodeId, Slot};
use peerstar_core::protocol::id::{Epoch, PageKey, PageName, PeerId};
use redis::{Cmd, Value};

/// The script. It begins with what its arguments mean.
pub const SOURCE: &str = include_str!("registry.lua");

/// The names of everything that a cluster has in Redis: they begin with its prefix.
#[derive(Debug, Clone)]
pub struct Names {
    prefix: String,
}

impl Names {
    /// Returns the names of the cluster with this prefix.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// Returns the key of the membership.
    #[must_use]
    pub fn members(&self) -> String {
        format!("{}:nodes", self.prefix)
    }

    /// Returns the channel that is a node's inbox.
    #[must_use]
    pub fn inbox(&self, node: NodeId) -> String {
        format!("{}{node}", self.inboxes())
    }

    fn inboxes(&self) -> String {
        format!("{}:inbox:", self.prefix)
    }

    fn record(&self, page: &PageKey) -> String {
        match page {
            PageKey::Pageless => format!("{}:page", self.prefix),
            PageKey::Named(name) => format!("{}:page:{}", self.prefix, name.as_str()),
        }
    }

    fn page(&self, key: &[u8]) -> Option<PageKey> {
        let rest = key.strip_prefix(self.prefix.as_bytes())?.strip_prefix(b":page")?;
        if rest.is_empty() {
            return Some(PageKey::Pageless);
        }
        let name = std::str::from_utf8(rest.strip_prefix(b":")?).ok()?;
        PageName::parse(name).ok().map(PageKey::Named)
    }

    /// Returns a pattern that the keys of all records match.
    fn records(&self) -> String {
        let special = |c: char| r"*?[]^\-".contains(c);
        let escaped =
            self.prefix.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c]));
        format!("{}:page*", escaped.collect::<String>())
    }
}

/// The arguments of the script beside the call.
#[derive(Debug, Clone)]
pub struct Words {
    /// Digest of [`SOURCE`], as Redis gave it when it loaded the script.
    pub digest: String,
    /// The word of a membership that begins with this call: a random text, another one each time.
    pub fresh: String,
    /// Stands for the run of the server where `INFO` is forbidden: a random text, another one for
    /// each connection.
    pub connection: String,
}

/// Stands for the address of a node that has none.
const NO_ADDRESS: &str = "-";

fn hex(number: u64) -> String {
    format!("{number:016x}")
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Asserting => "a",
        Standing::Settled => "s",
        Standing::Leaving => "l",
    }
}

fn host(host: Option<&PeerId>) -> String {
    host.map_or_else(|| "-".to_owned(), |id| format!("+{}", id.as_str()))
}

/// Returns the command that carries out a call.
#[must_use]
pub fn command(call: &Call, names: &Names, words: &Words) -> Cmd {
    let mut keys = vec![names.members()];
    let mut args = Vec::new();
    let name = match call {
        Call::Register {
            node,
            version,
            epoch,
            standing: says,
            settings,
            address,
            carried,
            wants_slot,
        } => {
            args.extend([node.to_string(), version.to_string(), hex(epoch.0)]);
            args.extend([standing(*says).to_owned(), u8::from(*wants_slot).to_string()]);
            let address = address.as_deref().unwrap_or(NO_ADDRESS);
            args.extend([settings.to_string(), address.to_owned()]);
            args.extend(
                carried.iter().flat_map(|(node, slot)| [node.to_string(), slot.0.to_string()]),
            );
            "register"
        }
        Call::Renew { node, epoch, standing: says } => {
            args.extend([node.to_string(), hex(epoch.0), standing(*says).to_owned()]);
            "renew"
        }
        Call::Look => "look",
        Call::Bury { node, counter } => {
            args.extend([node.to_string(), counter.to_string()]);
            "remove"
        }
        Call::Depart { node } => {
            args.push(node.to_string());
            "remove"
        }
        Call::Claim { page, node, fence } => {
            keys.push(names.record(page));
            args.extend([node.to_string(), hex(fence.0)]);
            "claim"
        }
        Call::Assert { node, pages } => {
            keys.extend(pages.iter().map(|one| names.record(&one.page)));
            args.push(node.to_string());
            args.extend(
                pages
                    .iter()
                    .flat_map(|one| [hex(one.fence.0), hex(one.epoch.0), host(one.host.as_ref())]),
            );
            "assert"
        }
        Call::Release { by, page, node, fence } => {
            keys.push(names.record(page));
            args.extend([by.to_string(), node.to_string(), hex(fence.0)]);
            "release"
        }
        Call::GiveUp { node, pages } => {
            keys.extend(pages.iter().map(|(page, _)| names.record(page)));
            args.push(node.to_string());
            args.extend(pages.iter().map(|(_, fence)| hex(fence.0)));
            "give_up"
        }
        Call::Find { page } => {
            keys.push(names.record(page));
            "find"
        }
        Call::Scan { cursor } => {
            args.extend([cursor.to_string(), names.records()]);
            "scan"
        }
    };
    let mut command = redis::cmd("EVALSHA");
    command.arg(&words.digest).arg(keys.len()).arg(keys);
    command.arg(name).arg(&words.fresh).arg(&words.connection).arg(names.inboxes()).arg(args);
    command
}

/// An answer that is none of this script's: somebody else wrote into its keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Redis gave an answer that is none of this version's ({0}): do other programs use this prefix?"
)]
pub struct BadAnswer(&'static str);

/// Returns the answer that Redis gave to a call.
///
/// # Errors
/// When the answer makes no sense.
pub fn reply(value: Value, names: &Names) -> Result<Reply, BadAnswer> {
    let mut parts = Parts::of(value)?;
    let name = parts.text()?;
    Ok(match name.as_str() {
        "not registered" => Reply::NotRegistered(parts.generation()?),
        "registered" => Reply::Registered(parts.view()?),
        "ahead" => Reply::Ahead(parts.generation()?, Epoch(number(&parts.text()?)?)),
        "renewed" => Reply::Renewed {
            generation: parts.generation()?,
            counter: parts.number()?,
            epoch: Epoch(number(&parts.text()?)?),
        },
        "view" => {
            let view = parts.view()?;
            let mut listening = parts.texts(|text| number(&text).map(NodeId))?;
            listening.sort_unstable();
            Reply::View(view, listening)
        }
        "removed" => Reply::Removed(parts.number()? == 1),
        "taken" => Reply::Taken(record(&parts.bytes()?)?),
        "lives" => Reply::Lives(record(&parts.bytes()?)?.ok_or(BadAnswer("record"))?),
        "behind" => Reply::Behind(record(&parts.bytes()?)?.ok_or(BadAnswer("record"))?),
        "asserting" => Reply::Asserting,
        "asserted" => {
            let mut told = Parts::of(parts.next()?)?;
            Reply::Asserted(told.all(|told| record(&told.bytes()?))?)
        }
        "changed" => {
            Reply::Changed(usize::try_from(parts.number()?).map_err(|_| BadAnswer("count"))?)
        }
        "found" => Reply::Found(record(&parts.bytes()?)?),
        "scanned" => {
            let mut found = Parts::of(parts.next()?)?;
            let found = found.all(|found| Ok((found.bytes()?, found.bytes()?)))?;
            // keys that are none of ours, or none any more, are passed over
            let ours = found
                .into_iter()
                .filter_map(|(key, text)| Some((names.page(&key)?, record(&text).ok().flatten()?)));
            Reply::Scanned(ours.collect(), parts.text()?.parse().map_err(|_| BadAnswer("cursor"))?)
        }
        _ => return Err(BadAnswer("name")),
    })
}

fn number(hex: &str) -> Result<u64, BadAnswer> {
    u64::from_str_radix(hex, 16).map_err(|_| BadAnswer("number"))
}

/// Reads a record. An empty text is none.
fn record(text: &[u8]) -> Result<Option<Record>, BadAnswer> {
    if text.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(text).map_err(|_| BadAnswer("record"))?;
    let part = |from, to| text.get(from..to).ok_or(BadAnswer("record"));
    let host = match part(49, text.len())? {
        "-" => None,
        host => {
            let id = host.strip_prefix('+').and_then(|id| PeerId::parse(id).ok());
            Some(id.ok_or(BadAnswer("host"))?)
        }
    };
    Ok(Some(Record {
        node: NodeId(number(part(0, 16)?)?),
        fence: Fence(number(part(16, 32)?)?),
        epoch: Epoch(number(part(32, 48)?)?),
        host,
        has_left: part(48, 49)? == "1",
    }))
}

fn registered(text: &str) -> Result<Registered, BadAnswer> {
    let bad = BadAnswer("node");
    let parts: Vec<_> = text.split(' ').collect();
    // a later release may say more of a node
    let [node, counter, slot, version, epoch, standing, settings, address, ..] = parts[..] else {
        return Err(bad);
    };
    Ok(Registered {
        node: NodeId(number(node)?),
        counter: counter.parse().map_err(|_| bad.clone())?,
        slot: match slot {
            "-" => None,
            slot => Some(Slot(slot.parse().map_err(|_| bad.clone())?)),
        },
        version: version.parse().map_err(|_| bad.clone())?,
        epoch: Epoch(number(epoch)?),
        standing: match standing {
            "a" => Standing::Asserting,
            "s" => Standing::Settled,
            "l" => Standing::Leaving,
            _ => return Err(bad),
        },
        settings: settings.parse().map_err(|_| bad)?,
        address: (address != NO_ADDRESS).then(|| address.into()),
    })
}

/// The parts of an answer that are still to be read.
struct Parts(std::vec::IntoIter<Value>);

impl Parts {
    fn of(value: Value) -> Result<Self, BadAnswer> {
        let Value::Array(parts) = value else { return Err(BadAnswer("no list")) };
        Ok(Self(parts.into_iter()))
    }

    fn next(&mut self) -> Result<Value, BadAnswer> {
        self.0.next().ok_or(BadAnswer("too short"))
    }

    fn bytes(&mut self) -> Result<Vec<u8>, BadAnswer> {
        let Value::BulkString(bytes) = self.next()? else { return Err(BadAnswer("no text")) };
        Ok(bytes)
    }

    fn text(&mut self) -> Result<String, BadAnswer> {
        String::from_utf8(self.bytes()?).map_err(|_| BadAnswer("no text"))
    }

    fn number(&mut self) -> Result<u64, BadAnswer> {
        let Value::Int(number) = self.next()? else { return Err(BadAnswer("no number")) };
        u64::try_from(number).map_err(|_| BadAnswer("number"))
    }

    fn generation(&mut self) -> Result<Generation, BadAnswer> {
        Ok(Generation(self.text()?.into()))
    }

    /// Reads the rest.
    fn all<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, BadAnswer>,
    ) -> Result<Vec<T>, BadAnswer> {
        let mut all = Vec::new();
        while !self.0.as_slice().is_empty() {
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn texts<T>(
        &mut self,
        one: impl Fn(String) -> Result<T, BadAnswer>,
    ) -> Result<Vec<T>, BadAnswer> {
        Self::of(self.next()?)?.all(|rest| one(rest.text()?))
    }

    fn view(&mut self) -> Result<View, BadAnswer> {
        let (generation, renewals) = (self.generation()?, self.number()?);
        let mut nodes = self.texts(|text| registered(&text))?;
        nodes.sort_unstable_by_key(|one| one.node);
        Ok(View { generation, renewals, nodes })
    }
}
