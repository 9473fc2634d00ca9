//! Recognises addresses whose scheme is not a Redis scheme.

use super::super::error::{error, invalid};
use super::super::parse::end_of_authority;
use super::super::provider::endpoint_hint;
use super::super::{SCHEMES, SENTINEL_SCHEMES, UrlError, UrlErrorKind};
use super::{Meaning, is_full_host, typos};

use What::{Link, Product, Redis, Reference, Sentinel, Socket, Web};

/// The meaning of a scheme that is not a Redis scheme.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// A client's own scheme for a Redis server.
    Redis,
    /// A client's own scheme for Sentinels.
    Sentinel,
    /// A client's own scheme for a unix socket.
    Socket,
    /// The scheme of service links, which Docker and Kubernetes set as variables.
    Link,
    Web,
    Product(&'static str),
    /// A reference to a secret. Contains the name of the product that resolves the reference.
    Reference(&'static str),
}

const OTHERS: &[(&str, What)] = &[
    ("redis+tcp", Redis),
    ("redis+tls", Redis),
    ("redis+ssl", Redis),
    ("redis-tls", Redis),
    ("redis-ssl", Redis),
    ("tls", Redis),
    ("ssl", Redis),
    ("sentinel", Sentinel),
    ("redis-socket", Socket),
    ("redis+socket", Socket),
    ("tcp", Link),
    ("http", Web),
    ("https", Web),
    ("ws", Web),
    ("wss", Web),
    ("mongodb", Product("MongoDB")),
    ("mongodb+srv", Product("MongoDB")),
    ("amqp", Product("RabbitMQ")),
    ("amqps", Product("RabbitMQ")),
    ("postgres", Product("PostgreSQL")),
    ("postgresql", Product("PostgreSQL")),
    ("mysql", Product("MySQL")),
    ("mariadb", Product("MariaDB")),
    ("sqlserver", Product("SQL Server")),
    ("kafka", Product("Kafka")),
    ("nats", Product("NATS")),
    ("mqtt", Product("MQTT")),
    ("memcached", Product("Memcached")),
    ("memcache", Product("Memcached")),
    ("cassandra", Product("Cassandra")),
    ("elasticsearch", Product("Elasticsearch")),
    ("sqlite", Product("SQLite")),
    ("ssh", Product("SSH")),
    ("ftp", Product("FTP")),
    ("file", Product("local files")),
    ("s3", Product("Amazon S3")),
    ("op", Reference("1Password")),
    ("vault", Reference("HashiCorp Vault")),
    ("ref+vault", Reference("HashiCorp Vault")),
    ("bao", Reference("OpenBao")),
    ("secretsmanager", Reference("AWS Secrets Manager")),
    ("ref+awssecrets", Reference("AWS Secrets Manager")),
    ("ssm", Reference("AWS Systems Manager")),
    ("ref+awsssm", Reference("AWS Systems Manager")),
    ("sm", Reference("Google Secret Manager")),
    ("gcp-sm", Reference("Google Secret Manager")),
    ("akv", Reference("Azure Key Vault")),
    ("keyvault", Reference("Azure Key Vault")),
    ("doppler", Reference("Doppler")),
];

pub(super) const SERVICE_LINK: &str = "this is a service link, not a Redis URL: Docker and Kubernetes set REDIS_PORT \
                                       to tcp://ADDRESS:PORT for a service named redis";

const NO_URL_IN_IT: &str =
    "use the URL of your Redis server instead, which starts with redis:// or rediss://";

pub(super) fn is_known(scheme: &str) -> bool {
    let scheme = scheme.to_ascii_lowercase();
    let is = |known: &str| known == scheme;
    SCHEMES.into_iter().chain(SENTINEL_SCHEMES).any(is) || OTHERS.iter().any(|(known, _)| is(known))
}

/// Whether a scheme requires TLS, even if it is misspelt.
pub(super) fn says_tls(scheme: &str) -> bool {
    let lower = scheme.to_ascii_lowercase();
    lower.split(|one: char| !one.is_ascii_alphanumeric()).any(|word| {
        matches!(word, "rediss" | "valkeys" | "tls" | "ssl" | "https" | "wss")
            // redsis and reddiss are typos of rediss.
            || (word.starts_with('r') && word.ends_with('s') && word.len() > 5)
    })
}

/// Whether `scheme` might be a misspelt Redis scheme.
fn is_like_redis(scheme: &str) -> bool {
    let lower = scheme.to_ascii_lowercase();
    lower.contains("redis")
        || lower.contains("valkey")
        || ["redis", "rediss", "valkey", "valkeys"]
            .iter()
            .any(|known| strsim::osa_distance(known, &lower) <= 2)
}

pub(super) fn read(text: &str) -> Option<Meaning> {
    let lower = text.to_ascii_lowercase();
    let is_secret = |service: &&str| matches!(*service, "secretsmanager" | "ssm");
    if lower.starts_with("arn:") && lower.split(':').nth(2).as_ref().is_some_and(is_secret) {
        let error = invalid(
            "this is the ARN of a secret or parameter on AWS, but not the URL that the secret contains",
        );
        return Some(hopeless(error.with_advice(
            "set REDIS_URL to the contents of the secret, with aws secretsmanager get-secret-value or aws ssm \
             get-parameter --with-decryption. In ECS, list the ARN under `secrets`, not under `environment`",
        )));
    }
    if lower.starts_with("arn:") {
        let list = match lower.split(':').nth(2) {
            Some("memorydb") => "memorydb describe-clusters",
            _ => "elasticache describe-replication-groups",
        };
        let error = invalid("this is the ARN of an AWS resource, but not its endpoint");
        return Some(hopeless(error.with_advice(format!(
            "copy the endpoint of the cache or cluster from the AWS console (for ElastiCache, the primary endpoint), or \
             run aws {list}"
        ))));
    }
    // Some references have no slashes after the colon, so the text before the colon might be a host name.
    if let Some((scheme, rest)) = text.split_once(':')
        && rest.contains('/')
        && let Some((_, Reference(product))) = OTHERS
            .iter()
            .find(|(known, _)| scheme.eq_ignore_ascii_case(known))
    {
        let error = wrong(format!(
            "this is a reference to a secret ({product}), which was not replaced by the URL that the secret contains"
        ));
        return Some(hopeless(error.with_advice(
            "start the application and this command with the program that replaces such references, or set REDIS_URL to \
             the URL that the secret contains",
        )));
    }
    let (scheme, rest) = text.split_once("://")?;
    let lower = scheme.to_ascii_lowercase();
    if SCHEMES.contains(&lower.as_str()) {
        return None;
    }
    if SENTINEL_SCHEMES.contains(&lower.as_str()) {
        return Some(typos::sentinels(rest, says_tls(scheme)).map_or_else(Meaning::default, Meaning::from));
    }
    let known = OTHERS.iter().find(|(known, _)| *known == lower);
    let found = |message: String| Meaning::new(wrong(message), typos::place(rest, says_tls(scheme)));
    Some(match known {
        Some((name, Product(product))) => hopeless(
            wrong(format!("{name}:// is the scheme of {product}, not of Redis")).with_advice(NO_URL_IN_IT),
        ),
        Some((_, Link)) => found(SERVICE_LINK.into()),
        Some((name, Web)) => web(name, rest),
        Some((_, Socket)) => Meaning::new(
            wrong("use unix:// and the path of the socket"),
            typos::socket(&format!("unix:{rest}")),
        ),
        Some((_, Sentinel)) => Meaning::within(
            &format!("redis+sentinel://{}", rest.replace(";sentinel://", ",")),
            wrong("use redis+sentinel:// for the URL of Sentinels"),
        ),
        Some((name, Redis)) => found(format!(
            "{name}:// is not a scheme that all clients support: use redis:// (plain) or rediss:// (TLS)"
        )),
        None if is_like_redis(scheme) => found(
            "the scheme is misspelt or unknown: use redis:// (plain), rediss:// (TLS) or unix:// (socket)"
                .into(),
        ),
        // References were recognised above. Any other text might be anything, even a password.
        Some((_, Reference(_))) | None => Meaning::default(),
    })
}

fn wrong(message: impl Into<String>) -> UrlError {
    error(UrlErrorKind::Scheme, message)
}

fn hopeless(error: UrlError) -> Meaning {
    Meaning::new(error, None)
}

/// The domains of web pages on which providers show a server's endpoint, each with instructions for finding
/// it.
const CONSOLES: &[(&str, &str)] = &[
    (
        "aws.amazon.com",
        "copy the endpoint of the cache there (for ElastiCache: the primary endpoint)",
    ),
    (
        "portal.azure.com",
        "copy the endpoint there: the host name is under Overview, the port under Settings",
    ),
    (
        "console.cloud.google.com",
        "copy the primary endpoint of the instance there",
    ),
    ("cloud.redis.io", "copy the public endpoint of the database there"),
    (
        "app.redislabs.com",
        "copy the public endpoint of the database there",
    ),
    (
        "console.upstash.com",
        "copy the endpoint and the port of the database there",
    ),
    (
        "heroku.com",
        "run heroku config:get REDIS_URL to see the endpoint's URL",
    ),
    (
        "dashboard.render.com",
        "copy the internal or external URL there: the endpoint",
    ),
    (
        "railway.com",
        "copy REDIS_URL or REDIS_PUBLIC_URL there: the endpoint",
    ),
    (
        "railway.app",
        "copy REDIS_URL or REDIS_PUBLIC_URL there: the endpoint",
    ),
    (
        "cloud.digitalocean.com",
        "copy the connection string there: the endpoint",
    ),
    ("console.aiven.io", "copy the service URI there: the endpoint"),
    ("console.scaleway.com", "copy the endpoint of the database there"),
];

fn web(scheme: &str, rest: &str) -> Meaning {
    let authority = end_of_authority(rest);
    let path = &rest[authority.len()..];
    let front = typos::place(authority, says_tls(scheme));
    let host = front
        .as_ref()
        .and_then(|url| url.hosts.first())
        .map(|(host, _)| host.to_ascii_lowercase())
        .unwrap_or_default();
    let is_at = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
    if let Some((_, where_to_find)) = CONSOLES.iter().find(|(domain, _)| is_at(domain)) {
        return hopeless(
            wrong("this is the address of a page of the provider's website, not a Redis endpoint")
                .with_advice(*where_to_find),
        );
    }
    if is_at("upstash.io") {
        let meant = front.map(|url| super::IntendedUrl {
            tls: true,
            hosts: url.hosts.into_iter().map(|(host, _)| (host, None)).collect(),
            ..url
        });
        let error = wrong(
            "this is the address of Upstash's REST interface; Redis clients use the same host with rediss:// and port 6379",
        );
        return Meaning::new(error, meant);
    }
    // Without a host before it, the path might be part of a password.
    let is_page = is_full_host(&host) && path.contains(|one: char| !one.is_ascii_digit() && one != '/');
    if is_page {
        return hopeless(
            wrong("this is the address of a web page, not of a Redis server").with_advice(
                "use the endpoint of your Redis, its host name and port, with redis:// or rediss://",
            ),
        );
    }
    let error = wrong(format!(
        "{scheme}:// is the scheme of web pages: use redis:// (plain) or rediss:// (TLS)"
    ));
    // The names of ElastiCache and MemoryDB show whether an endpoint has TLS, unlike a web scheme.
    let tls = endpoint_hint(&host).map_or(says_tls(scheme), |hint| hint.tls);
    Meaning::new(error, typos::place(rest, tls))
}
