//! Regions of example files: what a `from=PATH#REGION` fence must equal.
//!
//! A region lies between two comment lines, `# region NAME` and `# endregion NAME` (`//` where the language wants it).

/// The lines of a region, without its common indentation and without marker lines of other regions.
#[must_use]
pub(super) fn lines_of(source: &str, region: &str) -> Option<Vec<String>> {
    let mut open = false;
    let mut closed = false;
    let mut lines = Vec::new();
    for line in source.lines() {
        match marker(line) {
            Some(("region", name)) if name == region => open = true,
            Some(("endregion", name)) if open && name == region => {
                closed = true;
                break;
            }
            Some(_) => {}
            None if open => lines.push(line.trim_end().to_owned()),
            None => {}
        }
    }
    (open && closed).then(|| dedented(lines))
}

/// The first line (from 0) where the text of a fence and a region differ, with both lines; `None` when they agree.
#[must_use]
pub(super) fn difference(text: &str, region: &[String]) -> Option<(usize, String, String)> {
    let text = dedented(text.lines().map(|line| line.trim_end().to_owned()).collect());
    (0..text.len().max(region.len()))
        .map(|row| {
            let line = |lines: &[String]| lines.get(row).cloned().unwrap_or_default();
            (row, line(&text), line(region))
        })
        .find(|(_, ours, theirs)| ours != theirs)
}

/// `region NAME` or `endregion NAME` in a comment of its own.
fn marker(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let comment = ["//", "#", "--", ";"]
        .iter()
        .find_map(|sign| line.strip_prefix(sign))?;
    let (word, name) = comment
        .trim()
        .trim_start_matches('#')
        .split_once(char::is_whitespace)?;
    matches!(word, "region" | "endregion").then_some((word, name.trim()))
}

fn dedented(mut lines: Vec<String>) -> Vec<String> {
    let blank = |line: &String| line.trim().is_empty();
    while lines.last().is_some_and(blank) {
        lines.pop();
    }
    let leading = lines.iter().take_while(|line| blank(line)).count();
    lines.drain(..leading);
    let indentation = lines
        .iter()
        .filter(|line| !blank(line))
        .map(|line| line.len() - line.trim_start_matches([' ', '\t']).len())
        .min()
        .unwrap_or(0);
    lines
        .into_iter()
        .map(|line| line.get(indentation..).unwrap_or_default().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "import x\n\ndef a():\n    # region one\n    b()\n    # region two\n    if c:\n        d()\n    # endregion two\n    # endregion one\n";

    #[test]
    fn a_region_is_what_lies_between_its_markers() {
        assert_eq!(lines_of(SOURCE, "one").unwrap(), ["b()", "if c:", "    d()"]);
        assert_eq!(lines_of(SOURCE, "two").unwrap(), ["if c:", "    d()"]);
        assert_eq!(lines_of(SOURCE, "three"), None);
        assert_eq!(
            lines_of("// #region a\nx\n// #endregion a\n", "a").unwrap(),
            ["x"]
        );
        assert_eq!(lines_of("# region a\nx\n", "a"), None);
    }

    #[test]
    fn a_difference_names_its_line() {
        let region = lines_of(SOURCE, "two").unwrap();
        assert_eq!(difference("if c:\n    d()\n", &region), None);
        assert_eq!(
            difference("if c:\n    e()\n", &region),
            Some((1, "    e()".into(), "    d()".into()))
        );
        assert_eq!(
            difference("if c:\n", &region),
            Some((1, String::new(), "    d()".into()))
        );
    }
}
