//! Provides a minimal HTTP client that sends exactly the bytes that a test specifies.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Time limit for one response from a local server.
const PATIENCE: Duration = Duration::from_secs(30);

/// A visitor with a separate cookie jar.
#[derive(Clone, Debug)]
pub struct Visitor {
    port: u16,
    /// The value of the session cookie that the server last set, if any.
    pub cookie: Option<String>,
    /// The name of the session cookie.
    pub cookie_name: String,
}

/// A response from the server.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// The headers in the order in which they were received, with names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Time from sending the request to the end of the response.
    pub took: Duration,
}

impl Visitor {
    /// Creates a visitor without cookies for the server on `port`.
    pub fn at(port: u16) -> Self {
        Self {
            port,
            cookie: None,
            cookie_name: "session".to_owned(),
        }
    }

    /// Returns a copy of this visitor for a server on another port.
    pub fn moved_to(&self, port: u16) -> Self {
        Self { port, ..self.clone() }
    }

    /// Returns a visitor to the same server whose session cookie has the value `cookie`.
    pub fn with_cookie(&self, cookie: &str) -> Self {
        Self {
            cookie: Some(cookie.to_owned()),
            ..self.clone()
        }
    }

    /// Sends a GET request, and stores the cookie that the response sets.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, &[], None)
    }

    /// Submits the login form.
    #[track_caller]
    pub fn log_in(&mut self, name: &str) -> Answer {
        let body = format!("username={}", url_encoded(name));
        self.post_login(&[], body.as_bytes())
    }

    /// Sends a POST request to `/login`, with this body and additional headers.
    #[track_caller]
    pub fn post_login(&mut self, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.ask("POST", "/login", &all, Some(body))
    }

    /// Sends one request on a new connection.
    #[track_caller]
    pub fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        let answer = send(self.port, &self.request(method, path, headers, body));
        self.keep(&answer);
        answer
    }

    /// Returns the bytes of a request.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Vec<u8> {
        let mut request = format!("{method} {path} HTTP/1.1\r\n");
        let mut line = |name: &str, value: &str| request.push_str(&format!("{name}: {value}\r\n"));
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            line("Host", &format!("127.0.0.1:{}", self.port));
        }
        line("Connection", "close");
        if let Some(cookie) = &self.cookie {
            line("Cookie", &format!("{}={cookie}", self.cookie_name));
        }
        if let Some(body) = body {
            line("Content-Length", &body.len().to_string());
        }
        for (name, value) in headers {
            line(name, value);
        }
        let mut bytes = (request + "\r\n").into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        bytes
    }

    fn keep(&mut self, answer: &Answer) {
        for line in answer.all("set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            if let Some((name, value)) = pair.split_once('=') {
                self.cookie_name = name.to_owned();
                let is_deleted =
                    attributes.contains("Max-Age=0") || attributes.contains("Expires=Thu, 01 Jan 1970");
                self.cookie = (!is_deleted).then(|| value.to_owned());
            }
        }
    }
}

impl Answer {
    /// Returns the first header with this name, or `None` if there is none.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns all headers with this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let matching = self.headers.iter().filter(move |(found, _)| found == name);
        matching.map(|(_, value)| value.as_str())
    }

    /// Returns the number N in the page's text `Visits: N`, or `None` if the page does not contain this text.
    pub fn visits(&self) -> Option<u64> {
        let text = self.text();
        let (_, rest) = text.split_once("Visits: ")?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    }

    /// Returns the page's text without tags, with entities decoded.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut rest = self.body.as_str();
        while let Some((before, tag)) = rest.split_once('<') {
            text.push_str(before);
            rest = tag.split_once('>').map_or("", |(_, after)| after);
        }
        text.push_str(rest);
        unescaped(&text)
    }

    /// Panics unless the visible text of the page, without tags, contains this text. For HTML, use `body`.
    #[track_caller]
    pub fn says(self, wanted: &str) -> Self {
        assert!(
            self.text().contains(wanted),
            "{wanted:?} is missing in {}: {}",
            self.status,
            self.text()
        );
        self
    }

    /// Panics unless the response has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}\n{}", self.headers, self.body);
        self
    }
}

/// Decodes the entities that the templates write.
pub fn unescaped(text: &str) -> String {
    let text = &text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"");
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, entity)) = rest.split_once("&#") {
        plain.push_str(before);
        let (number, after) = entity.split_once(';').unwrap_or((entity, ""));
        let number = match number.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        plain.extend(number.ok().and_then(char::from_u32));
        rest = after;
    }
    (plain + rest).replace("&amp;", "&")
}

/// Percent-encodes everything except ASCII letters and digits.
pub fn url_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Sends `request` to a port on loopback, and reads one response.
#[track_caller]
pub fn send(port: u16, request: &[u8]) -> Answer {
    try_send(port, request).unwrap_or_else(|error| panic!("no answer: {error}"))
}

/// Like [`send`], but returns an error instead of panicking if there is no response.
pub fn try_send(port: u16, request: &[u8]) -> Result<Answer, String> {
    let started = Instant::now();
    let mut stream = connect(port).map_err(|error| error.to_string())?;
    // A server might respond and close the connection before it has read everything.
    let _ = stream.write_all(request);
    read_answer(&mut stream, started)
}

/// Opens a connection to a port on loopback, with timeouts.
pub fn connect(port: u16) -> std::io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads one response, up to its Content-Length. Without that header, reads only the head. `started` is when
/// the request was sent.
pub fn read_answer(stream: &mut TcpStream, started: Instant) -> Result<Answer, String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(answer) = parsed(&bytes, started) {
            return Ok(answer);
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
    Err(format!(
        "an incomplete answer: {:?}",
        String::from_utf8_lossy(&bytes)
    ))
}

fn parsed(bytes: &[u8], started: Instant) -> Option<Answer> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let body = &bytes[head_end + 4..];
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = match length {
        Some((_, length)) => length.parse().ok()?,
        None => 0,
    };
    if body.len() < length {
        return None;
    }
    Some(Answer {
        status,
        headers,
        body: String::from_utf8_lossy(&body[..length]).into_owned(),
        took: started.elapsed(),
    })
}
