//! Reads members of JSON documents. A missing or unreadable member becomes `None`, which means unknown.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

pub(crate) trait FromJson: Sized {
    /// Converts a JSON value. Returns `None` if the value has the wrong type or form.
    fn read(value: &Value) -> Option<Self>;
}

impl FromJson for String {
    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl FromJson for bool {
    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromJson for i64 {
    fn read(value: &Value) -> Option<Self> {
        value.as_i64()
    }
}

impl FromJson for u16 {
    fn read(value: &Value) -> Option<Self> {
        value.as_u64().and_then(|number| number.try_into().ok())
    }
}

/// Addresses are parsed, because `2001:db8:0::1` and `2001:db8::1` are the same address.
impl FromJson for IpAddr {
    fn read(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }
}

/// Host bits are cleared: `10.0.1.5/24` becomes `10.0.1.0/24`.
impl FromJson for IpNet {
    fn read(value: &Value) -> Option<Self> {
        value.as_str()?.parse::<Self>().ok().map(|range| range.trunc())
    }
}

/// If one element is unreadable, the whole list is unknown.
impl<T: FromJson> FromJson for Vec<T> {
    fn read(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(T::read).collect()
    }
}

/// Defines a struct that can be read from a JSON object. Each field is an `Option` with the value of one
/// member.
macro_rules! object {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $member:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(crate) struct $name { $($(#[$field_doc])* pub(crate) $field: Option<$type>,)* }

        impl $crate::aws::read::FromJson for $name {
            fn read(value: &serde_json::Value) -> Option<Self> {
                let object = value.as_object()?;
                Some(Self { $($field: object.get($member).and_then($crate::aws::read::FromJson::read),)* })
            }
        }
    )*};
}
pub(crate) use object;
