//! Recognises the provider or network of a server from its host name.

use std::net::Ipv4Addr;

/// A kind of host name, and the facts that apply to all servers with such a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hosting {
    /// The patterns of the host names, in lower case. `*` matches any text.
    names: &'static [&'static str],
    /// The name of the service or network, for display.
    pub service: &'static str,
    pub reach: Reach,
    pub is_aws: bool,
    /// Whether such a name belongs to something other than a Redis server.
    pub is_other_service: bool,
    /// The TLS port of all servers with such names. `None` if there is no TLS port, or if it differs between
    /// servers.
    pub tls_port: Option<u16>,
    /// The fix for the most common mistake when connecting to a server with such a name.
    pub check: &'static str,
}

/// The networks from which a server can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// From everywhere, unless the server has an allowlist.
    Public,
    /// Only from inside the provider's private network.
    PrivateNetwork,
    /// Only from containers of the same Docker, Podman or Kubernetes network.
    Containers,
}

impl Hosting {
    /// Returns the entry for a host name, if there is one.
    pub(crate) fn of(host: &str) -> Option<&'static Self> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_address = host.contains(':') || host.parse::<std::net::IpAddr>().is_ok();
        if host.is_empty() || host == "localhost" || is_address {
            return None;
        }
        let known = ALL
            .iter()
            .find(|row| row.names.iter().any(|pattern| matches(pattern, &host)));
        known.or_else(|| {
            if is_render_id(&host) {
                Some(&RENDER_INTERNAL)
            } else {
                (!host.contains('.')).then_some(&SINGLE_WORD)
            }
        })
    }

    /// Returns the likely provider of a server, judging by its private IP address and its TLS port. Returns
    /// `None` if no provider matches.
    pub(crate) fn of_tls_port(host: &str, port: u16) -> Option<&'static Self> {
        let is_private = || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_private());
        (MEMORYSTORE.tls_port == Some(port) && is_private()).then_some(&MEMORYSTORE)
    }

    /// Whether servers whose host names match this entry can be reached only from a private network or a
    /// container network.
    pub(crate) fn is_private(&self) -> bool {
        self.reach != Reach::Public
    }
}

fn matches(pattern: &str, host: &str) -> bool {
    match pattern.split_once('*') {
        // Try every position at which the text for this `*` can end.
        Some((start, end)) => host.strip_prefix(start).is_some_and(|rest| {
            let mut ends = rest.char_indices().map(|(at, _)| &rest[at..]).chain([""]);
            ends.any(|rest| matches(end, rest))
        }),
        None => host == pattern,
    }
}

/// Whether `host` is an internal host name of Render. Such a name consists of `red-` and 20 letters and
/// digits.
fn is_render_id(host: &str) -> bool {
    host.strip_prefix("red-")
        .is_some_and(|id| id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

const PUBLIC: Hosting = Hosting {
    names: &[],
    service: "",
    reach: Reach::Public,
    is_aws: false,
    is_other_service: false,
    tls_port: None,
    check: "",
};
/// The service in the entry for host names such as `host.docker.internal`.
pub(crate) const CONTAINER_HOST: &str = "the host, as its containers see it";
/// The service in the entry for the host names of Services in a Kubernetes cluster.
pub(crate) const KUBERNETES: &str = "Kubernetes";
const OTHER_AWS_SERVICE: Hosting = Hosting {
    is_aws: true,
    is_other_service: true,
    ..PUBLIC
};
const PRIVATE: Hosting = Hosting {
    reach: Reach::PrivateNetwork,
    ..PUBLIC
};
const CONTAINERS: Hosting = Hosting {
    reach: Reach::Containers,
    ..PUBLIC
};

/// The entry for internal host names of Render. Source:
/// <https://render.com/docs/key-value#connecting-to-your-key-value-instance>
const RENDER_INTERNAL: Hosting = Hosting {
    service: "Render's private network",
    check: "use this name only in Render services of the same region and workspace, because it is the internal \
            name of a Render Key Value instance. From other places, use the external URL (rediss://)",
    ..PRIVATE
};

/// The entry for host names without a dot. Sources: <https://docs.docker.com/compose/how-tos/networking/> and
/// <https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>
const SINGLE_WORD: Hosting = Hosting {
    service: "a container network",
    check: "run the client in the server's container network (docker network inspect) or Kubernetes namespace: a \
            name without a dot usually belongs to a container or service, and is known only in its network \
            or namespace. On the host that runs the containers, use localhost and the published port",
    ..CONTAINERS
};

/// The entry for Memorystore. Applications connect to the private IP address of an instance, so only the port
/// shows the provider.
///
/// Sources: <https://cloud.google.com/memorystore/docs/redis/connect-redis-instance>,
/// <https://github.com/GoogleCloudPlatform/spring-cloud-gcp/issues/2735> (the TLS port) and
/// <https://cloud.google.com/memorystore/docs/redis/about-in-transit-encryption> (each instance has its own
/// CA).
const MEMORYSTORE: Hosting = Hosting {
    service: "Google Cloud Memorystore",
    tls_port: Some(6378),
    check: "port 6378 is the TLS port of Google Cloud Memorystore. If the server belongs to Memorystore, run the \
            client in the authorized network of the instance (gcloud redis instances describe shows this network)",
    ..PRIVATE
};

/// All kinds of host names that have a pattern. The first entry that matches a host name is used. The link
/// before each entry is the source of its facts.
const ALL: &[Hosting] = &[
    // https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Endpoints.html and
    // https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/serverless-public-endpoints-chapter.html
    Hosting {
        names: &["*.public.serverless.*.cache.amazonaws.com"],
        service: "Amazon ElastiCache (public endpoint)",
        is_aws: true,
        check: "check the name and the region in the URL: clients reach a public endpoint over the internet, with \
                TLS 1.3 and an IAM login",
        ..PUBLIC
    },
    Hosting {
        names: &["*.cache.amazonaws.com", "*.cache.amazonaws.com.cn"],
        service: "Amazon ElastiCache",
        is_aws: true,
        check: "run the client inside the VPC of the cache: from outside the VPC, clients can reach only public \
                endpoints of serverless caches",
        ..PRIVATE
    },
    // https://devcenter.heroku.com/articles/connecting-heroku-redis: TLS is required, certificates are self-signed
    Hosting {
        names: &["*.compute-1.amazonaws.com", "*.compute.amazonaws.com"],
        service: "Amazon EC2 (Heroku Key-Value Store uses such names)",
        is_aws: true,
        check: "for Heroku Key-Value Store, copy the URL again (heroku config:get REDIS_URL): Heroku changes the \
                host, port and password from time to time, and requires TLS with a self-signed certificate",
        ..PUBLIC
    },
    // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ConnectToInstance.html and
    // https://docs.aws.amazon.com/documentdb/latest/developerguide/endpoints.html
    Hosting {
        names: &[
            "*.rds.amazonaws.com",
            "*.rds.amazonaws.com.cn",
            "*.docdb.amazonaws.com",
        ],
        service: "Amazon RDS or DocumentDB",
        check: "use the endpoint of the cache in the URL: the name belongs to an Amazon RDS or DocumentDB database, not \
                to a Redis server",
        ..OTHER_AWS_SERVICE
    },
    // https://docs.aws.amazon.com/opensearch-service/latest/developerguide/createupdatedomains.html
    Hosting {
        names: &["*.es.amazonaws.com", "*.aoss.amazonaws.com", "*.aos.*.on.aws"],
        service: "Amazon OpenSearch Service",
        check: "use the endpoint of the cache in the URL: the name belongs to Amazon OpenSearch Service, not to a Redis \
                server",
        ..OTHER_AWS_SERVICE
    },
    // https://docs.aws.amazon.com/elasticloadbalancing/latest/network/network-load-balancers.html
    Hosting {
        names: &[
            "*.elb.amazonaws.com",
            "*.elb.*.amazonaws.com",
            "*.elb.amazonaws.com.cn",
        ],
        service: "Elastic Load Balancing on AWS",
        check: "use the endpoint of the cache in the URL: the name belongs to a load balancer. If the load \
                balancer forwards connections to Redis, check its listener for this port, the health of its \
                targets, and its security groups",
        ..OTHER_AWS_SERVICE
    },
    // https://docs.aws.amazon.com/memorydb/latest/devguide/endpoints.html,
    // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-naming.html (EC2 instances) and
    // https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-access-aws-services.html
    Hosting {
        names: &[
            "*.memorydb.*.amazonaws.com",
            "*.memorydb.*.amazonaws.com.cn",
            "*.compute*.amazonaws.com",
            "*.compute*.amazonaws.com.cn",
            "*.vpce.amazonaws.com",
            "*.vpce.amazonaws.com.cn",
            "*.ec2.internal",
            "*.compute.internal",
        ],
        service: "Amazon Web Services",
        is_aws: true,
        check: "run the client inside the VPC of the server",
        ..PRIVATE
    },
    // https://docs.aws.amazon.com/amazon-mq/latest/developer-guide/amazon-mq-rabbitmq-getting-started.html
    Hosting {
        names: &["*.mq.*.amazonaws.com", "*.mq.*.on.aws"],
        service: "Amazon MQ",
        check: "use the endpoint of the cache in the URL: the name belongs to a broker of Amazon MQ, not to a Redis server",
        ..OTHER_AWS_SERVICE
    },
    // https://docs.aws.amazon.com/msk/latest/developerguide/msk-get-bootstrap-brokers.html
    Hosting {
        names: &["*.kafka.*.amazonaws.com", "*.kafka-serverless.*.amazonaws.com"],
        service: "Amazon MSK",
        check: "use the endpoint of the cache in the URL: the name belongs to a Kafka broker of Amazon MSK, not to a Redis \
                server",
        ..OTHER_AWS_SERVICE
    },
    // All other host names of AWS belong to other services.
    Hosting {
        names: &["*.amazonaws.com", "*.amazonaws.com.cn", "*.on.aws"],
        service: "another service of AWS",
        check: "use the endpoint of the cache in the URL: the name belongs to another service of AWS, not to ElastiCache, \
                MemoryDB or an EC2 instance",
        ..OTHER_AWS_SERVICE
    },
    // https://learn.microsoft.com/azure/azure-cache-for-redis/cache-configure#access-ports
    Hosting {
        names: &["*.redis.cache.windows.net"],
        service: "Azure Cache for Redis",
        tls_port: Some(6380),
        check: "check the firewall rules and private endpoints of the cache in the Azure portal. By default, the \
                port without TLS (6379) is disabled",
        ..PUBLIC
    },
    // https://learn.microsoft.com/azure/redis/tls-configuration
    Hosting {
        names: &["*.redis.azure.net", "*.redisenterprise.cache.azure.net"],
        service: "Azure Managed Redis",
        tls_port: Some(10_000),
        check: "check the public network access and the private endpoints of the instance in the Azure portal. The \
                instance listens on port 10000, by default with TLS",
        ..PUBLIC
    },
    // https://redis.io/docs/latest/operate/rc/security/database-security/block-public-endpoints/
    Hosting {
        names: &["*.redis-cloud.com", "*.redislabs.com"],
        service: "Redis Cloud",
        check: "copy the host and port from the Redis Cloud console again, because each database has its own port. \
                Then check the CIDR allow list of the database, and whether its public endpoint is blocked",
        ..PUBLIC
    },
    // https://fly.io/docs/upstash/redis/
    Hosting {
        names: &["*.flycast", "fly-*.upstash.io"],
        service: "Fly.io's private network",
        check: "run the client on a Fly Machine of the same organization, or connect through `fly redis connect` \
                or WireGuard: the name is known only in the private network of Fly.io (IPv6)",
        ..PRIVATE
    },
    // https://upstash.com/docs/redis/howto/connectclient: TLS cannot be disabled
    Hosting {
        names: &["*.upstash.io"],
        service: "Upstash",
        check: "copy the endpoint and port from the Upstash console again, and use rediss://",
        ..PUBLIC
    },
    // https://render.com/docs/key-value: external connections are disabled by default
    Hosting {
        names: &["*-keyvalue.render.com", "*-redis.render.com"],
        service: "Render Key Value",
        tls_port: Some(6379),
        check: "add the public address of this host to the access control list of the instance in the Render \
                dashboard: by default, external connections are disabled. External connections also need rediss://",
        ..PUBLIC
    },
    // https://docs.railway.com/private-networking
    Hosting {
        names: &["*.railway.internal"],
        service: "Railway's private network",
        check: "run the client in a container of the same Railway project and environment, because the name is \
                known only there. From other places, use the public URL (REDIS_PUBLIC_URL, *.proxy.rlwy.net)",
        ..PRIVATE
    },
    // https://docs.railway.com/reference/tcp-proxy
    Hosting {
        names: &["*.proxy.rlwy.net"],
        service: "Railway's TCP proxy",
        check: "copy the host and port from the settings of the service in Railway again: each service has its own port",
        ..PUBLIC
    },
    // https://docs.digitalocean.com/products/databases/valkey/how-to/connect/ and …/how-to/secure/
    Hosting {
        names: &["*.db.ondigitalocean.com"],
        service: "DigitalOcean Managed Databases",
        tls_port: Some(25_061),
        check: "add this host to the trusted sources of the cluster in DigitalOcean. Use port 25061, with TLS",
        ..PUBLIC
    },
    // https://aiven.io/docs/platform/howto/restrict-access
    Hosting {
        names: &["*.aivencloud.com"],
        service: "Aiven",
        check: "copy the service URI from the Aiven console again, because each service has its own port, with \
                TLS. Then check the IP address allowlist of the service",
        ..PUBLIC
    },
    // https://docs.docker.com/desktop/features/networking/networking-how-tos/
    Hosting {
        names: &[
            "host.docker.internal",
            "gateway.docker.internal",
            "host.containers.internal",
            "host.minikube.internal",
        ],
        service: CONTAINER_HOST,
        check: "use this name only inside a container, where it is the name of the host that runs the container. \
                On this host itself, use localhost. With Docker Engine on Linux, start the container with \
                --add-host=host.docker.internal:host-gateway",
        ..CONTAINERS
    },
    // https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
    Hosting {
        names: &["*.cluster.local", "*.svc"],
        service: KUBERNETES,
        check: "run the client in a pod of the Kubernetes cluster, because the name is known only there. From \
                other places, use kubectl port-forward",
        ..CONTAINERS
    },
    // https://fly.io/docs/networking/private-networking/, https://cloud.google.com/compute/docs/internal-dns
    Hosting {
        names: &["*.internal"],
        service: "a private network",
        check: "run the client inside the private network of this name: names that end in .internal (Fly.io, \
                Google Cloud) are known only in their network",
        ..PRIVATE
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn service(host: &str) -> Option<&'static str> {
        Hosting::of(host).map(|found| found.service)
    }

    #[test]
    fn the_end_of_a_name_shows_who_runs_the_server() {
        for (host, expected) in [
            (
                "shop.x1y2z3.ng.0001.use1.cache.amazonaws.com",
                "Amazon ElastiCache",
            ),
            (
                "clustercfg.shop.x1.memorydb.us-east-1.amazonaws.com",
                "Amazon Web Services",
            ),
            ("b-1.shop.abcdef.c2.kafka.eu-west-1.amazonaws.com", "Amazon MSK"),
            ("b-1234-1.mq.eu-west-1.amazonaws.com", "Amazon MQ"),
            ("queue.eu-west-1.amazonaws.com", "another service of AWS"),
            (
                "shop-x1y2z3.public.serverless.euc1.cache.amazonaws.com",
                "Amazon ElastiCache (public endpoint)",
            ),
            (
                "shop.c9akciq32rgh.eu-west-1.rds.amazonaws.com",
                "Amazon RDS or DocumentDB",
            ),
            (
                "vpc-logs-abcdef.eu-west-1.es.amazonaws.com",
                "Amazon OpenSearch Service",
            ),
            (
                "shop-0123.elb.eu-west-1.amazonaws.com",
                "Elastic Load Balancing on AWS",
            ),
            ("Shop.Redis.Cache.Windows.Net.", "Azure Cache for Redis"),
            ("shop.westeurope.redis.azure.net", "Azure Managed Redis"),
            (
                "redis-123.c1.eu-west-1-1.ec2.redns.redis-cloud.com",
                "Redis Cloud",
            ),
            ("eu1-shop-123.upstash.io", "Upstash"),
            ("oregon-keyvalue.render.com", "Render Key Value"),
            ("red-d48gppur433s73a2mjlg", "Render's private network"),
            ("redis.railway.internal", "Railway's private network"),
            ("gondola.proxy.rlwy.net", "Railway's TCP proxy"),
            (
                "shop-do-user-1-0.k.db.ondigitalocean.com",
                "DigitalOcean Managed Databases",
            ),
            ("shop-project.aivencloud.com", "Aiven"),
            ("fly-shop.upstash.io", "Fly.io's private network"),
            ("redis-shop.internal", "a private network"),
            ("redis", "a container network"),
            ("redis.shop.svc.cluster.local", "Kubernetes"),
            ("host.docker.internal", "the host, as its containers see it"),
        ] {
            assert_eq!(service(host), Some(expected), "{host}");
        }
        for host in [
            "cache.example",
            "localhost",
            "10.0.3.17",
            "fd00::1",
            "fe80::1%2",
            "",
            "notupstash.io",
        ] {
            assert_eq!(service(host), None, "{host}");
        }
    }

    #[test]
    fn memorystore_is_recognised_by_its_tls_port() {
        let service = |host, port| Hosting::of_tls_port(host, port).map(|found| found.service);
        assert_eq!(service("10.0.0.3", 6378), Some("Google Cloud Memorystore"));
        for (host, port) in [("10.0.0.3", 6379), ("192.0.2.1", 6378), ("cache.example", 6378)] {
            assert_eq!(service(host, port), None, "{host}:{port}");
        }
    }

    #[test]
    fn advice_about_one_provider_mentions_aws_only_if_the_name_does() {
        for row in ALL.iter().chain([&RENDER_INTERNAL, &SINGLE_WORD, &MEMORYSTORE]) {
            let text = format!("{} {}", row.service, row.check);
            let has_aws_term = ["AWS", "Amazon", "VPC", "EC2", "ElastiCache"]
                .iter()
                .any(|term| text.contains(term));
            assert_eq!(has_aws_term, row.is_aws, "{}", row.service);
        }
    }
}
