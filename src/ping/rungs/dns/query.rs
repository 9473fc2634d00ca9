//! Sends a DNS query to one name server. This is needed because the system's resolver does not report which
//! server failed, or how.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::deadline::Deadline;
use crate::ping::observation::NameAnswer;
use crate::ping::rungs::tcp::errno_text;
use crate::sanitize;

/// The time after which an unanswered DNS query is sent again.
const RETRY: Duration = Duration::from_millis(800);
/// How long to wait for the second address family, after the first family has returned addresses. RFC 8305
/// suggests 50 ms for browsers.
const RESOLUTION_DELAY: Duration = Duration::from_millis(300);
/// The maximum length of a UDP response. RFC 6891 suggests 4096.
const LONGEST_DATAGRAM: usize = 4096;

/// Queries one server for the A and AAAA records of a fully qualified name. If only one record type gets an
/// answer, also returns the type without an answer.
pub(super) async fn query(
    server: SocketAddr,
    name: &str,
    deadline: Deadline,
) -> (NameAnswer, Option<&'static str>) {
    let v4 = query_records(server, name, RecordType::A, deadline);
    let v6 = query_records(server, name, RecordType::AAAA, deadline);
    tokio::pin!(v4, v6);
    let (v4, v6) = tokio::select! {
        first = &mut v4 => {
            let rest = second(&first, v6, deadline).await;
            (first, rest)
        }
        first = &mut v6 => (second(&first, v4, deadline).await, first),
    };
    let silent_about = match (&v4, &v6) {
        (NameAnswer::Timeout, NameAnswer::Addresses(_)) => Some("A"),
        (NameAnswer::Addresses(_), NameAnswer::Timeout) => Some("AAAA"),
        _ => None,
    };
    (merge(v4, v6), silent_about)
}

/// Waits for the answer about the second address family. The wait is short if the first family has addresses,
/// because some servers answer for only one family.
async fn second(
    first: &NameAnswer,
    rest: impl Future<Output = NameAnswer>,
    deadline: Deadline,
) -> NameAnswer {
    let until = if matches!(first, NameAnswer::Addresses(_)) {
        deadline.within(RESOLUTION_DELAY)
    } else {
        deadline
    };
    until.bound(rest).await.unwrap_or(NameAnswer::Timeout)
}

/// Combines the answers for IPv4 and IPv6. The result is [`NameAnswer::NoAddress`] only if both answers say
/// that the name has no address or does not exist.
fn merge(v4: NameAnswer, v6: NameAnswer) -> NameAnswer {
    use NameAnswer as Answer;
    match (v4, v6) {
        (Answer::Addresses(mut all), Answer::Addresses(more)) => {
            all.extend(more);
            Answer::Addresses(all)
        }
        (found @ Answer::Addresses(_), _) | (_, found @ Answer::Addresses(_)) => found,
        // A name that does not exist has no records of any type (RFC 8020).
        (missing @ (Answer::NotFound | Answer::DanglingAlias(_)), other)
        | (other, missing @ (Answer::NotFound | Answer::DanglingAlias(_))) => {
            if matches!(other, Answer::NoAddress | Answer::EmptyAlias(_)) {
                other
            } else {
                missing
            }
        }
        (Answer::NoAddress | Answer::EmptyAlias(_), other)
        | (other, Answer::NoAddress | Answer::EmptyAlias(_)) => other,
        (refused @ Answer::Refused(_), _) | (_, refused @ Answer::Refused(_)) => refused,
        (first, _) => first,
    }
}

async fn query_records(server: SocketAddr, name: &str, kind: RecordType, deadline: Deadline) -> NameAnswer {
    let Some(question) = question(name, kind) else {
        return NameAnswer::Malformed;
    };
    let Ok(bytes) = question.to_vec() else {
        return NameAnswer::Malformed;
    };
    match over_udp(server, &question, &bytes, deadline).await {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            NameAnswer::Blocked(errno_text(&error))
        }
        Err(error) => NameAnswer::Unreachable(errno_text(&error)),
        Ok(Err(failure)) => failure,
        Ok(Ok(response)) if response.metadata.truncation => {
            over_tcp(server, &question, &bytes, deadline).await
        }
        Ok(Ok(response)) => read(&response),
    }
}

fn question(name: &str, kind: RecordType) -> Option<Message> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    // from_utf8 rejects names such as my_cache.example, which are invalid as host names but in use.
    let name = if name.is_ascii() {
        Name::from_ascii(name)
    } else {
        Name::from_utf8(name)
    };
    message.add_query(Query::query(name.ok()?, kind));
    Some(message)
}

/// Sends a DNS query over UDP. Returns the response, or the reason why there is none.
async fn over_udp(
    server: SocketAddr,
    question: &Message,
    bytes: &[u8],
    deadline: Deadline,
) -> io::Result<Result<Message, NameAnswer>> {
    let any: SocketAddr = if server.is_ipv4() {
        ([0; 4], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any).await?;
    // A connected socket receives data only from this server. It also reports ICMP errors such as "port
    // unreachable".
    socket.connect(server).await?;
    let mut buffer = vec![0; LONGEST_DATAGRAM];
    let mut failure = NameAnswer::Timeout;
    while !deadline.is_over() {
        socket.send(bytes).await?;
        let until = deadline.within(RETRY);
        while let Ok(received) = until.bound(socket.recv(&mut buffer)).await {
            if let Some(answer) = response_to(question, &buffer[..received?]) {
                return Ok(Ok(answer));
            }
            failure = NameAnswer::Malformed;
        }
    }
    Ok(Err(failure))
}

async fn over_tcp(server: SocketAddr, question: &Message, bytes: &[u8], deadline: Deadline) -> NameAnswer {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        io::Result::Ok(answer)
    };
    // Report the failure before the caller's deadline passes.
    let until = deadline.within(deadline.left().mul_f64(0.8));
    match until.bound(exchange).await {
        Err(_) => NameAnswer::NoTcp("no reply".into()),
        Ok(Err(error)) => NameAnswer::NoTcp(errno_text(&error)),
        Ok(Ok(bytes)) => response_to(question, &bytes).map_or(NameAnswer::Malformed, |answer| read(&answer)),
    }
}

/// Parses arbitrary bytes as a DNS response. Used by [`crate::untrusted`].
pub(crate) fn read_any_response(bytes: &[u8]) {
    if let Some(mut question) = question("h.example", RecordType::A) {
        question.metadata.id = 0;
        let _ = response_to(&question, bytes).map(|answer| read(&answer));
    }
}

/// Parses the bytes of a response. Returns `None` if they are not a response to `question`.
fn response_to(question: &Message, bytes: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let header = &answer.metadata;
    let is_answer = header.message_type == MessageType::Response && header.id == question.metadata.id;
    // Some servers send only a header when they refuse a query.
    let is_refusal = answer.queries.is_empty() && header.response_code != ResponseCode::NoError;
    (is_answer && (answer.queries == question.queries || is_refusal)).then_some(answer)
}

fn read(answer: &Message) -> NameAnswer {
    let addresses: Vec<IpAddr> = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
        .collect();
    match answer.metadata.response_code {
        ResponseCode::NoError if addresses.is_empty() => {
            alias(answer).map_or(NameAnswer::NoAddress, NameAnswer::EmptyAlias)
        }
        ResponseCode::NoError => NameAnswer::Addresses(addresses),
        ResponseCode::NXDomain => alias(answer).map_or(NameAnswer::NotFound, NameAnswer::DanglingAlias),
        ResponseCode::ServFail => NameAnswer::Refused("SERVFAIL".into()),
        ResponseCode::Refused => NameAnswer::Refused("REFUSED".into()),
        other => NameAnswer::Refused(format!("{other}")),
    }
}

/// Returns the name at the end of a CNAME chain, made safe to print. Returns `None` if the answer has no
/// CNAME.
fn alias(answer: &Message) -> Option<String> {
    answer.answers.iter().rev().find_map(|record| match &record.data {
        RData::CNAME(name) => Some(sanitize::line(name.to_utf8().trim_end_matches('.')).into_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_one_family_is_not_taken_for_a_name_without_addresses() {
        let refused = || NameAnswer::Refused("SERVFAIL".into());
        for (v4, v6, together) in [
            (refused(), NameAnswer::NoAddress, refused()),
            (refused(), NameAnswer::EmptyAlias("old.example".into()), refused()),
            (NameAnswer::NoAddress, NameAnswer::Timeout, NameAnswer::Timeout),
            (
                NameAnswer::NoAddress,
                NameAnswer::NoAddress,
                NameAnswer::NoAddress,
            ),
            (NameAnswer::NoAddress, NameAnswer::NotFound, NameAnswer::NoAddress),
            (NameAnswer::Timeout, NameAnswer::NotFound, NameAnswer::NotFound),
            (NameAnswer::Timeout, refused(), refused()),
        ] {
            assert_eq!(merge(v4.clone(), v6.clone()), together, "{v4:?} and {v6:?}");
            assert_eq!(merge(v6, v4), together);
        }
    }

    #[test]
    fn a_name_that_no_host_may_have_is_still_queried() {
        assert!(question("my_cache.example.", RecordType::A).is_some());
    }

    #[test]
    fn a_response_to_another_query_is_ignored() {
        let asked = question("cache.example.", RecordType::A).unwrap();
        let heard = |answer: &Message| response_to(&asked, &answer.to_vec().unwrap());
        let mut answer = asked.clone();
        answer.metadata.message_type = MessageType::Response;
        assert!(heard(&answer).is_some());
        assert!(response_to(&asked, b"\x00\x01garbage").is_none());
        answer.metadata.id ^= 1;
        assert!(heard(&answer).is_none());
    }

    #[test]
    fn a_query_that_is_sent_back_is_not_an_answer() {
        let asked = question("cache.example.", RecordType::A).unwrap();
        assert!(response_to(&asked, &asked.to_vec().unwrap()).is_none());
    }

    #[test]
    fn a_refusal_of_a_header_alone_is_an_answer() {
        let asked = question("cache.example.", RecordType::A).unwrap();
        let mut header = asked.clone();
        header.metadata.message_type = MessageType::Response;
        header.queries.clear();
        assert!(response_to(&asked, &header.to_vec().unwrap()).is_none());
        header.metadata.response_code = ResponseCode::ServFail;
        let answer = response_to(&asked, &header.to_vec().unwrap()).unwrap();
        assert_eq!(read(&answer), NameAnswer::Refused("SERVFAIL".into()));
    }

    mod any_bytes {
        use super::*;
        use hickory_proto::rr::rdata::A;
        use hickory_proto::rr::{RData, Record};
        use proptest::prelude::*;
        use proptest::sample::Index;

        /// Returns a damaged response: some bytes are changed, the bytes after `end` are removed, and `more`
        /// is appended.
        fn mangled(asked: &Message, changes: &[(Index, u8)], end: Index, more: &[u8]) -> Vec<u8> {
            let mut answer = asked.clone();
            answer.metadata.message_type = MessageType::Response;
            let name = Name::from_ascii("cache.example.").unwrap();
            answer.add_answer(Record::from_rdata(name, 60, RData::A(A::new(10, 0, 0, 7))));
            let mut bytes = answer.to_vec().unwrap();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            bytes.truncate(end.index(2 * bytes.len()));
            bytes.extend_from_slice(more);
            bytes
        }

        proptest! {
            #[test]
            fn are_an_response_to_the_question_or_none(
                changes in proptest::collection::vec(any::<(Index, u8)>(), 0..6),
                end in any::<Index>(),
                more in proptest::collection::vec(any::<u8>(), 0..20),
            ) {
                let asked = question("cache.example.", RecordType::A).unwrap();
                let bytes = mangled(&asked, &changes, end, &more);
                if let Some(answer) = response_to(&asked, &bytes) {
                    let is_refusal = answer.metadata.response_code != ResponseCode::NoError;
                    prop_assert!(answer.queries == asked.queries || is_refusal);
                    if let NameAnswer::Addresses(found) = read(&answer) {
                        prop_assert!(!found.is_empty());
                    }
                }
            }

            #[test]
            fn of_a_stranger_are_no_answer(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
                let asked = question("cache.example.", RecordType::A).unwrap();
                let _ = response_to(&asked, &bytes).map(|answer| read(&answer));
            }
        }
    }
}
