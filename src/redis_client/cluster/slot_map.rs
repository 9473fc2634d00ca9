use redis::aio::ConnectionLike;
use redis::{ErrorKind, RedisError, RedisResult, Value, cmd};

use super::node::Node;
use crate::redis_client::single::SingleConnection;
use crate::redis_client::{items, text};

/// The number of hash slots in a cluster.
pub(crate) const SLOTS: u16 = 16384;

/// The assignment of a cluster's slots to its nodes.
pub(super) struct SlotMap {
    pub(super) primaries: Vec<Option<Node>>,
    /// All known nodes of the cluster. The first node is the one in the URL.
    pub(super) nodes: Vec<Node>,
}

impl SlotMap {
    pub(super) async fn ask(single: &SingleConnection, node: &Node, seed: &Node) -> RedisResult<Self> {
        let reply = single
            .clone()
            .req_packed_command(cmd("CLUSTER").arg("SLOTS"))
            .await?;
        Self::parse(&reply.extract_error()?, &node.0, seed)
    }

    /// Parses a reply to CLUSTER SLOTS (<https://redis.io/docs/latest/commands/cluster-slots/>). `host` is
    /// the host name of the node that sent the reply.
    fn parse(reply: &Value, host: &str, seed: &Node) -> RedisResult<Self> {
        let invalid = || RedisError::from((ErrorKind::Parse, "the reply to CLUSTER SLOTS is invalid"));
        let Value::Array(ranges) = reply else {
            return Err(invalid());
        };
        let mut map = Self {
            primaries: vec![None; SLOTS.into()],
            nodes: vec![seed.clone()],
        };
        for range in ranges {
            let [Value::Int(first), Value::Int(last), nodes @ ..] = items(Some(range)) else {
                return Err(invalid());
            };
            let nodes: Vec<Node> = nodes
                .iter()
                .filter_map(|node| map.announced(node, host))
                .collect();
            let slots = usize::try_from(*first).ok().zip(usize::try_from(*last).ok());
            let slots = slots.and_then(|(first, last)| map.primaries.get_mut(first..=last));
            slots.ok_or_else(invalid)?.fill(nodes.first().cloned());
        }
        Ok(map)
    }

    /// Parses the address of a node, and adds the node to the known nodes. If the address contains no host,
    /// the node has the host `asked`. Returns `None` if the address is invalid.
    fn announced(&mut self, node: &Value, asked: &str) -> Option<Node> {
        let [host, Value::Int(port), ..] = items(Some(node)) else {
            return None;
        };
        let host = text(host).filter(|host| !matches!(host.as_str(), "" | "?"));
        let host = host.unwrap_or_else(|| asked.to_owned());
        Some(self.known((host, u16::try_from(*port).ok()?)))
    }

    fn known(&mut self, address: (String, u16)) -> Node {
        if let Some(node) = self.nodes.iter().find(|node| ***node == address) {
            return node.clone();
        }
        let node = Node::new(address);
        self.nodes.push(node.clone());
        node
    }

    pub(super) fn primary(&self, slot: u16) -> Option<Node> {
        self.primaries.get(usize::from(slot)).cloned().flatten()
    }

    pub(super) fn set_primary(&mut self, slot: u16, node: &Node) {
        let node = self.known((node.0.clone(), node.1));
        if let Some(primary) = self.primaries.get_mut(usize::from(slot)) {
            *primary = Some(node);
        }
    }
}

/// Returns the slot of a key. If a part of the key is in braces, only that part is hashed
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>).
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        let length = rest.iter().position(|byte| *byte == b'}')?;
        (length > 0).then(|| &rest[..length])
    });
    crc16::State::<crc16::XMODEM>::calculate(tag.unwrap_or(key)) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::super::test_values::{node, reply};
    use super::*;

    #[test]
    fn keys_with_the_same_tag_are_in_the_same_slot() {
        // This example is from the specification.
        assert_eq!(slot_of(b"123456789"), 0x31c3 % SLOTS);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
        assert_ne!(slot_of(b"foo{}{bar}"), slot_of(b"bar"));
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
    }

    #[test]
    fn a_map_is_parsed_with_unknown_hosts_and_uncovered_slots() {
        let seed = node("seed", 7000);
        let text = "*2\r\n\
            *4\r\n:0\r\n:5\r\n*3\r\n$1\r\na\r\n:7001\r\n$2\r\nid\r\n*3\r\n$1\r\nb\r\n:7002\r\n$2\r\nid\r\n\
            *3\r\n:7\r\n:16383\r\n*3\r\n$0\r\n\r\n:7003\r\n$2\r\nid\r\n";
        let map = SlotMap::parse(&reply(text), "asked", &seed).unwrap();
        assert_eq!(map.primary(5), Some(node("a", 7001)));
        assert_eq!(map.primary(6), None);
        assert_eq!(map.primary(16383), Some(node("asked", 7003)));
        assert_eq!(
            map.nodes,
            [
                seed.clone(),
                node("a", 7001),
                node("b", 7002),
                node("asked", 7003)
            ]
        );
        for text in [
            "+OK\r\n",
            "*1\r\n:1\r\n",
            "*1\r\n*2\r\n:0\r\n:16384\r\n",
            "*1\r\n*2\r\n:-1\r\n:3\r\n",
            "*1\r\n*2\r\n:9\r\n:3\r\n",
        ] {
            assert!(SlotMap::parse(&reply(text), "asked", &seed).is_err(), "{text:?}");
        }
    }
}
