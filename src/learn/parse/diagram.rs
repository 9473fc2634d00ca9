//! Parses `mermaid` fences. Only a part of mermaid's sequence diagrams is supported
//! (<https://mermaid.js.org/syntax/sequenceDiagram.html>):
//!
//! ```text
//! sequenceDiagram
//!     participant B as Browser
//!     participant A as app
//!     B->>A: POST /login
//!     A-->>B: 303, Set-Cookie
//!     Note over B,A: the browser stores the cookie
//!     %% a comment
//! ```

use super::Problem;
use crate::learn::lesson::{DiagramEvent, SequenceDiagram};

/// The maximum number of participants in a diagram, because a larger diagram would not fit in a window.
const MOST_PARTICIPANTS: usize = 5;

/// Parses the body of a `mermaid` fence. The line numbers of problems start at 0 in the body.
pub(super) fn parse(body: &str) -> Result<SequenceDiagram, Vec<Problem>> {
    let mut diagram = Parser::default();
    let mut problems = Vec::new();
    let mut lines = body.lines().map(str::trim).enumerate();
    match lines.find(|(_, line)| !is_blank(line)) {
        Some((_, "sequenceDiagram")) => {}
        Some((row, _)) => problems.push((row, "start the diagram with `sequenceDiagram`".to_owned())),
        None => problems.push((
            0,
            "this diagram is empty: start it with `sequenceDiagram`".to_owned(),
        )),
    }
    for (row, line) in lines.filter(|(_, line)| !is_blank(line)) {
        if let Err(what) = diagram.take(line) {
            problems.push((row, what));
        }
    }
    if problems.is_empty() && diagram.names.len() < 2 {
        problems.push((0, "a diagram needs at least two participants".to_owned()));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(SequenceDiagram {
        participants: diagram.names.into_iter().map(|(_, name)| name).collect(),
        events: diagram.events,
    })
}

fn is_blank(line: &str) -> bool {
    line.is_empty() || line.starts_with("%%")
}

#[derive(Default)]
struct Parser {
    /// The ID and the name of each participant.
    names: Vec<(String, String)>,
    events: Vec<DiagramEvent>,
}

impl Parser {
    fn take(&mut self, line: &str) -> Result<(), String> {
        if let Some(declared) = line.strip_prefix("participant ") {
            let (id, name) = declared.split_once(" as ").unwrap_or((declared, declared));
            return self.declare(id.trim(), name.trim());
        }
        if let Some(note) = line.strip_prefix("Note over ") {
            let (over, text) = note.split_once(':').ok_or("write `Note over A: text`")?;
            let (first, last) = over.split_once(',').unwrap_or((over, over));
            let (one, other) = (self.place(first)?, self.place(last)?);
            self.events.push(DiagramEvent::Note {
                first: one.min(other),
                last: one.max(other),
                text: text.trim().to_owned(),
            });
            return Ok(());
        }
        self.message(line)
    }

    fn declare(&mut self, id: &str, name: &str) -> Result<(), String> {
        if self.names.iter().any(|(other, _)| other == id) {
            return Err(format!("the participant `{id}` is declared twice"));
        }
        if self.names.len() == MOST_PARTICIPANTS {
            return Err(format!("a diagram has at most {MOST_PARTICIPANTS} participants"));
        }
        self.names.push((id.to_owned(), name.to_owned()));
        Ok(())
    }

    /// Parses an arrow: `A->>B: text` is a message, and `A-->>B: text` is a reply.
    fn message(&mut self, line: &str) -> Result<(), String> {
        let unknown = || {
            format!("`{line}` is not supported; write `A->>B: text`, `A-->>B: text` or `Note over A: text`")
        };
        let (arrow, text) = line.split_once(':').ok_or_else(unknown)?;
        let (from, to, is_reply) = match (arrow.split_once("-->>"), arrow.split_once("->>")) {
            (Some((from, to)), _) => (from, to, true),
            (None, Some((from, to))) => (from, to, false),
            (None, None) => return Err(unknown()),
        };
        let (from, to) = (self.place(from)?, self.place(to)?);
        if from == to {
            return Err(
                "a message must not have the same sender and receiver; write `Note over A: text`".to_owned(),
            );
        }
        self.events.push(DiagramEvent::Message {
            from,
            to,
            text: text.trim().to_owned(),
            is_reply,
        });
        Ok(())
    }

    fn place(&self, id: &str) -> Result<usize, String> {
        let id = id.trim();
        let place = self.names.iter().position(|(other, _)| other == id);
        place.ok_or_else(|| format!("unknown participant `{id}`: add `participant {id} as NAME` above"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagram_contains_messages_replies_and_notes() {
        let body = "%% a comment\nsequenceDiagram\n  participant B as Browser\n  participant app\n\n  B->>app: GET /\n  \
                    app-->>B: 200: a page\n  Note over B,app: done\n  Note over app: x\n";
        let diagram = parse(body).unwrap();
        assert_eq!(diagram.participants, ["Browser", "app"]);
        let message = |from, to, text: &str, is_reply| DiagramEvent::Message {
            from,
            to,
            text: text.to_owned(),
            is_reply,
        };
        let note = |first, last, text: &str| DiagramEvent::Note {
            first,
            last,
            text: text.to_owned(),
        };
        assert_eq!(
            diagram.events,
            [
                message(0, 1, "GET /", false),
                message(1, 0, "200: a page", true),
                note(0, 1, "done"),
                note(1, 1, "x"),
            ]
        );
    }

    #[test]
    fn anything_else_is_an_error_with_its_row() {
        let two = "sequenceDiagram\nparticipant A\nparticipant B\n";
        for (body, row) in [
            (String::new(), 0),
            ("graph LR\nA-->B".to_owned(), 0),
            ("sequenceDiagram\nparticipant A\n".to_owned(), 0),
            (format!("{two}A->>C: hello"), 3),
            (format!("{two}A->>A: hello"), 3),
            (format!("{two}A->>B"), 3),
            (format!("{two}loop every second"), 3),
            (format!("{two}participant A"), 3),
            (format!("{two}Note over C: x"), 3),
            (format!("{two}Note over A"), 3),
        ] {
            let problems = parse(&body).unwrap_err();
            assert_eq!(problems[0].0, row, "{body}: {problems:?}");
        }
    }
}
