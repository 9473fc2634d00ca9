//! Finds the documents in a text, and adds their contents to the tables.

use ipnet::IpNet;
use serde_json::{Map, Value};

use super::{Documents, Known, Table};
use crate::aws::error_text::AwsError;
use crate::aws::facts::Facts;
use crate::aws::id::{Account, Id};
use crate::aws::read::FromJson;
use crate::aws::scan::{self, Part};

impl Documents {
    /// Adds all documents in a text. Ignores the text between the documents.
    pub(crate) fn add_text(&mut self, text: &str) {
        let mut command = "";
        let text = scan::plain(text);
        for part in scan::parts(&text) {
            match part {
                Part::Document(value) => self.add(&value, command),
                Part::Command(line) => command = line,
                Part::Noise(line) => self.errors.extend(AwsError::parse(line)),
                Part::Damaged => self.damaged += 1,
            }
        }
    }

    /// Adds a document. `command` is the command that printed the document, or an empty string.
    pub(crate) fn add(&mut self, document: &Value, command: &str) {
        let Some(document) = document.as_object() else {
            return;
        };
        // A report of `ping --aws` contains further documents in its member `aws`.
        let reported = document
            .get("aws")
            .and_then(|aws| aws.get("documents")?.as_array());
        for part in reported.into_iter().flatten() {
            let command = part.get("command").and_then(Value::as_str).unwrap_or_default();
            if let Some(document) = part.get("document") {
                self.add(document, command);
            }
            let error = part.get("error").and_then(Value::as_str).unwrap_or_default();
            self.errors.extend(error.lines().filter_map(AwsError::parse));
        }
        let is_part = ["NextToken", "Marker"]
            .iter()
            .any(|member| document.get(*member).is_some_and(|value| !value.is_null()))
            || document.get("AdditionalRoutesAvailable") == Some(&Value::Bool(true));
        let mut add = Adding { document, is_part };
        add.to("NetworkInterfaces", &mut self.interfaces);
        add.to("SecurityGroups", &mut self.groups);
        add.to("SecurityGroupRules", &mut self.group_rules);
        add.to("NetworkAcls", &mut self.acls);
        add.to("Subnets", &mut self.subnets);
        add.to("RouteTables", &mut self.route_tables);
        add.to("VpcPeeringConnections", &mut self.peerings);
        add.to("TransitGatewayVpcAttachments", &mut self.transit_attachments);
        add.to("TransitGatewayAttachments", &mut self.transit_tables);
        add.to("TransitGateways", &mut self.transit_gateways);
        add.to("TransitGatewayRoutes", &mut self.transit_routes);
        add.to("PrefixListEntries", &mut self.prefix_lists);
        add.to("ReplicationGroups", &mut self.replication_groups);
        add.to("CacheClusters", &mut self.cache_clusters);
        add.to("CacheSubnetGroups", &mut self.cache_subnet_groups);
        add.to("ServerlessCaches", &mut self.serverless_caches);
        add.to("UserGroups", &mut self.user_groups);
        add.to("Users", &mut self.users);
        if let Some(id) = id_in(command, "pl") {
            add.unnamed("Entries", [("PrefixListId", id.as_str())], &mut self.prefix_lists);
        }
        if let Some(id) = id_in(command, "tgw-rtb") {
            let searched = words_of(command).find(|word| word.parse::<IpNet>().is_ok());
            let members = [
                ("TransitGatewayRouteTableId", id.as_str()),
                ("Searched", searched.unwrap_or_default()),
            ];
            add.unnamed("Routes", members, &mut self.transit_routes);
        }
        let account = document.get("Account").and_then(Account::read);
        self.account = self.account.take().or(account);
        let facts = Facts::read_document(document);
        self.facts = self.facts.take().or(facts);
    }
}

struct Adding<'a> {
    document: &'a Map<String, Value>,
    is_part: bool,
}

impl Adding<'_> {
    fn to<T: FromJson + PartialEq>(&mut self, member: &str, table: &mut Known<T>) {
        let Some(elements) = self.document.get(member).and_then(Value::as_array) else {
            return;
        };
        let is_complete = !self.is_part;
        let table = table.get_or_insert_with(Table::empty);
        table.is_complete &= is_complete;
        for element in elements {
            match T::read(element) {
                Some(item) => table.items.push(item),
                None => table.is_complete = false,
            }
        }
    }

    /// Adds a document that lacks the ID of its object. `members` contains this ID, which comes from the
    /// command.
    fn unnamed<'a, T: FromJson>(
        &mut self,
        member: &str,
        members: impl IntoIterator<Item = (&'a str, &'a str)>,
        table: &mut Known<T>,
    ) {
        let Some(list) = self.document.get(member).filter(|list| list.is_array()) else {
            return;
        };
        if self.is_part {
            return;
        }
        let mut named: Map<String, Value> = members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        named.insert(member.to_owned(), list.clone());
        let item = T::read(&Value::Object(named));
        let table = table.get_or_insert_with(Table::empty);
        table.items.extend(item);
    }
}

/// Splits a command into words, and removes quotes.
fn words_of(command: &str) -> impl Iterator<Item = &str> {
    command.split(|character: char| character.is_whitespace() || "'\"=,".contains(character))
}

/// Returns the first ID with this prefix in a command, or `None` if there is none.
fn id_in(command: &str, prefix: &str) -> Option<Id> {
    let words = words_of(command);
    let starts = |word: &&str| {
        word.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with('-'))
    };
    words.filter(starts).find_map(Id::parse)
}
