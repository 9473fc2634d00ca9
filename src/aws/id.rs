//! Identifiers from documents. Besides addresses, ranges and numbers, only these identifiers can become part
//! of a command, so a malicious document cannot inject shell code.

use std::fmt;
use std::sync::LazyLock;

use regex_lite::Regex;
use serde_json::Value;

use super::read::FromJson;

/// The message of `expect` for regular expressions. Their patterns are constants, so compiling them cannot
/// fail.
const VALID: &str = "the pattern is valid";

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(String);

        impl $name {
            /// Parses an identifier. Returns `None` if the text does not have the right form.
            pub(crate) fn parse(text: &str) -> Option<Self> {
                static FORM: LazyLock<Regex> = LazyLock::new(|| Regex::new($pattern).expect(VALID));
                FORM.is_match(text).then(|| Self(text.to_owned()))
            }

            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl FromJson for $name {
            fn read(value: &Value) -> Option<Self> {
                Self::parse(value.as_str()?)
            }
        }
    };
}

word!(
    /// The ID of an AWS object, such as `sg-0123456789abcdef0`.
    Id,
    r"\A[a-z]{2,8}(-[a-z]{3,6})?-[0-9A-Za-z]{1,32}\z"
);
word!(
    /// An AWS region, such as `eu-central-1`.
    Region,
    r"\A[a-z]{2,4}(-[a-z]{2,12}){1,2}-[0-9]{1,2}\z"
);
word!(
    /// An AWS account number.
    Account,
    r"\A[0-9]{12}\z"
);
word!(
    /// The name of a cache, a user group or a cache user.
    Name,
    r"\A[A-Za-z0-9][A-Za-z0-9-]{0,63}\z"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_without_a_meaning_to_the_shell_are_accepted() {
        for id in [
            "sg-0aaaa",
            "tgw-rtb-0123",
            "vpc-9a7014b45cbb9382a",
            "aclassoc-5b3c",
        ] {
            assert!(Id::parse(id).is_some(), "{id}");
        }
        for id in [
            "",
            "sg-",
            "sg-$(id)",
            "sg-1;id",
            "sg-1\n",
            "\nsg-1",
            "sg-1 sg-2",
            "-sg-1",
            "sg-`id`",
            "SG-1",
            "sg-1'",
            "sg-1\"",
            "sg-1\u{202e}",
        ] {
            assert_eq!(Id::parse(id), None, "{id:?}");
        }
        assert!(Region::parse("us-gov-west-1").is_some() && Region::parse("eu-central-1").is_some());
        assert!(Region::parse("eu-central-1 x").is_none() && Region::parse("eu").is_none());
        assert!(Account::parse("123456789012").is_some() && Account::parse("12345678901x").is_none());
        assert!(Name::parse("shop-1").is_some() && Name::parse("-shop").is_none());
    }
}
