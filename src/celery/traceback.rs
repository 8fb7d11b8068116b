//! Python tracebacks: the text Celery stores and publishes → frames a person can jump to.
//!
//! The text is a stranger's. File names stay verbatim, as data: whoever opens one decides whether
//! it is a file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Frames kept of each end of a long traceback: where it began, and where it broke.
const KEPT: usize = 100;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Frame {
    /// As Python wrote it, on the worker's machine.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// Absent where a `SyntaxError` points at its line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The line's text, where the worker had the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What was raised here, its first line: of the innermost frame of each exception of a chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
}

/// The frames of a traceback in their order: of chained exceptions, groups and what came out of a
/// pool process too. Of a very long one the first and last hundred.
pub fn frames(text: &str) -> Vec<Frame> {
    let mut lines = text.lines().peekable();
    let mut frames: Vec<Frame> = Vec::new();
    // How far the frames are indented whose exception is still to come.
    let mut within = None;
    while let Some(line) = lines.next() {
        let Some(mut frame) = frame(content(line)) else {
            let ends = within.is_some_and(|within| indent(line) < within);
            if let Some(last) = frames.last_mut().filter(|_| ends && !content(line).is_empty()) {
                last.exception = Some(content(line).to_owned());
                within = None;
            }
            continue;
        };
        within = Some(indent(line));
        let is_code = |next: &&str| {
            indent(next) > indent(line) && !is_marker(content(next)) && !content(next).is_empty()
        };
        frame.code = lines.next_if(is_code).map(|code| content(code).to_owned());
        frames.push(frame);
        if frames.len() > 2 * KEPT {
            frames.remove(KEPT);
        }
    }
    frames
}

/// `File "…", line 7, in name`: a file's name may itself hold quotes, so its end is the last.
fn frame(line: &str) -> Option<Frame> {
    let (file, place) = line.strip_prefix("File \"")?.rsplit_once("\", line ")?;
    let (number, function) = match place.split_once(", in ") {
        Some((number, function)) => (number, Some(function.to_owned())),
        None => (place, None),
    };
    let line = number.parse().ok()?;
    Some(Frame { file: file.into(), line, function, code: None, exception: None })
}

/// A line without its indentation and the rules that exception groups draw.
fn content(line: &str) -> &str {
    line.trim_start_matches([' ', '\t', '|', '+']).trim_end()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t', '|', '+']).len()
}

/// `^^^^` or `~~~^^^` under the code, since Python 3.11.
fn is_marker(content: &str) -> bool {
    !content.is_empty() && content.chars().all(|character| "^~ ".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(file: &str, line: u32, function: &str, code: &str) -> Frame {
        let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (function, code) = (optional(function), optional(code));
        Frame { file: file.into(), line, function, code, exception: None }
    }

    /// The frame at which an exception was raised.
    fn raising(frame: Frame, exception: &str) -> Frame {
        Frame { exception: Some(exception.to_owned()), ..frame }
    }

    #[test]
    fn plain_and_chained() {
        let text = r#"Traceback (most recent call last):
  File "/app/tasks.py", line 12, in charge
    card.charge(amount)
    ~~~~~~~~~~~^^^^^^^^
  File "<frozen importlib>", line 3, in load
KeyError: 'card'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "C:\app\tasks.py", line 14, in <lambda>
    raise CardDeclined("no") from None
CardDeclined: no
"#;
        assert_eq!(
            frames(text),
            [
                frame("/app/tasks.py", 12, "charge", "card.charge(amount)"),
                raising(frame("<frozen importlib>", 3, "load", ""), "KeyError: 'card'"),
                raising(
                    frame(
                        r"C:\app\tasks.py",
                        14,
                        "<lambda>",
                        r#"raise CardDeclined("no") from None"#
                    ),
                    "CardDeclined: no"
                ),
            ]
        );
    }

    #[test]
    fn from_a_pool_process() {
        let text = "billiard.einfo.RemoteTraceback: \n'''\nTraceback (most recent call last):\n  \
                    File \"/app/a.py\", line 1, in f\n    f()\nValueError\n'''\n\nThe above …\n\n\
                    Traceback (most recent call last):\n  File \"/app/b.py\", line 2, in g\n";
        assert_eq!(
            frames(text),
            [
                raising(frame("/app/a.py", 1, "f", "f()"), "ValueError"),
                frame("/app/b.py", 2, "g", "")
            ]
        );
    }

    #[test]
    fn syntax_errors_and_groups() {
        let text = r#"  File "/app/a.py", line 3
    def (:
        ^
SyntaxError: invalid syntax
  + Exception Group Traceback (most recent call last):
  |   File "/app/b.py", line 5, in main
  |     raise group
  | ExceptionGroup: two (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/c.py", line 7, in one
    |     1 / 0
"#;
        assert_eq!(
            frames(text),
            [
                raising(frame("/app/a.py", 3, "", "def (:"), "SyntaxError: invalid syntax"),
                raising(
                    frame("/app/b.py", 5, "main", "raise group"),
                    "ExceptionGroup: two (1 sub-exception)"
                ),
                frame("/app/c.py", 7, "one", "1 / 0"),
            ]
        );
    }

    #[test]
    fn hostile_names_are_data() {
        for file in ["term://touch$IFS/tmp/x:88", "a\"b\", line 1.py", "%!echo", "a\u{202e}b", ""] {
            let text = format!("  File \"{file}\", line 88, in x\n");
            assert_eq!(frames(&text), [frame(file, 88, "x", "")]);
        }
        for line in ["  File \"a\", line x, in y", "  File \"a\", line 99999999999, in y", "File"] {
            assert_eq!(frames(line), []);
        }
    }

    #[test]
    fn long_ones_keep_both_ends() {
        let text: String = (1..=1000)
            .map(|n| format!("  File \"/app/a.py\", line {n}, in f\n    f()\n"))
            .collect();
        let frames = frames(&text);
        assert_eq!((frames.len(), frames[0].line, frames[199].line), (200, 1, 1000));
        assert_eq!((frames[99].line, frames[100].line), (100, 901));
    }
}
