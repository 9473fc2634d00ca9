//! The checks on AWS, and the result of a check.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Allowed,
    Denied,
    /// Replies reach only some of the local ports that the instance may use.
    Partly,
    Unknown,
}

impl Outcome {
    /// Returns the value for `ping --json`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Partly => "partly",
            Self::Unknown => "unknown",
        }
    }
}

/// The codes of the checks, most important first. If several checks fail, the report names the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    RegionDifferent,
    CacheStatus,
    CachePort,
    CacheEngine,
    AddressGone,
    VpcOverlap,
    VpcDifferent,
    VpcPeering,
    Vpc,
    RouteThere,
    RouteBack,
    SgEgress,
    SgIngress,
    AclOut,
    AclIn,
    AclBackOut,
    AclBackIn,
}

impl Code {
    /// Returns the code for reports. Scripts rely on these codes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RegionDifferent => "region.different",
            Self::CacheStatus => "cache.status",
            Self::CachePort => "cache.port",
            Self::CacheEngine => "cache.engine",
            Self::AddressGone => "address.gone",
            Self::VpcOverlap => "vpc.overlap",
            Self::VpcDifferent => "vpc.different",
            Self::VpcPeering => "vpc.peering",
            Self::Vpc => "vpc",
            Self::RouteThere => "route.there",
            Self::RouteBack => "route.back",
            Self::SgEgress => "sg.egress",
            Self::AclOut => "acl.out",
            Self::AclIn => "acl.in",
            Self::SgIngress => "sg.ingress",
            Self::AclBackOut => "acl.back-out",
            Self::AclBackIn => "acl.back-in",
        }
    }

    /// Returns the value for `fixes[].kind`.
    pub(crate) fn fix_kind(self) -> &'static str {
        match self {
            Self::RegionDifferent => "region",
            Self::CacheStatus => "wait",
            Self::CachePort => "port",
            Self::CacheEngine => "endpoint",
            Self::AddressGone => "address",
            Self::VpcOverlap | Self::VpcDifferent | Self::Vpc => "outside-vpc",
            Self::VpcPeering => "peering",
            Self::RouteThere | Self::RouteBack => "route",
            Self::SgEgress | Self::SgIngress => "security-group",
            Self::AclOut | Self::AclIn | Self::AclBackOut | Self::AclBackIn => "network-acl",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Certainty {
    Likely,
    Proved,
}

impl Certainty {
    /// Returns the value for `ping --json`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Likely => "likely",
            Self::Proved => "proved",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) code: Code,
    pub(crate) outcome: Outcome,
    pub(crate) certainty: Certainty,
    /// The ID of the AWS object that decides the check, such as `sg-…`.
    pub(crate) object: Option<String>,
    /// One sentence without a full stop.
    pub(crate) text: String,
    /// The code for this denial in AWS's Reachability Analyzer, if there is one.
    pub(crate) aws_code: Option<&'static str>,
    /// The IAM permissions for fetching the missing documents. Empty unless the outcome is unknown.
    pub(crate) needs: Vec<&'static str>,
    /// Rules that almost allow the connection. Each text says why the rule does not apply.
    pub(crate) near_misses: Vec<String>,
}

impl Check {
    pub(crate) fn new(code: Code, outcome: Outcome, text: impl Into<String>) -> Self {
        Self {
            code,
            outcome,
            certainty: Certainty::Proved,
            object: None,
            text: text.into(),
            aws_code: None,
            needs: Vec::new(),
            near_misses: Vec::new(),
        }
    }

    pub(crate) fn allowed(code: Code, text: impl Into<String>) -> Self {
        Self::new(code, Outcome::Allowed, text)
    }

    pub(crate) fn denied(code: Code, text: impl Into<String>) -> Self {
        Self::new(code, Outcome::Denied, text)
    }

    pub(crate) fn unknown(code: Code, text: impl Into<String>) -> Self {
        Self::new(code, Outcome::Unknown, text)
    }

    pub(crate) fn about(mut self, object: Option<impl ToString>) -> Self {
        self.object = object.map(|object| object.to_string());
        self
    }

    pub(crate) fn needs(mut self, permissions: &[&'static str]) -> Self {
        self.needs.extend(permissions);
        self
    }

    pub(crate) fn aws_code(mut self, code: &'static str) -> Self {
        self.aws_code = Some(code);
        self
    }

    pub(crate) fn likely_if(mut self, is_likely: bool) -> Self {
        if is_likely {
            self.certainty = Certainty::Likely;
        }
        self
    }
}
