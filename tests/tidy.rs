//! What the code promises about itself: who imports whom, that what exists is documented, that a
//! file holds one thing.

use crate::support::root;
use crate::support::server::{Framing, Server};
use crate::transcripts;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each module and what of ours it may import. The binary's own modules may import everything.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("json", &[]),
    ("message", &["error", "json"]),
    ("celery", &["error", "json", "message"]),
    ("broker", &["error", "json", "message"]),
    ("backend", &["error", "json", "message", "celery", "broker"]),
    ("state", &["error", "json", "celery"]),
    ("config", &["error"]),
    (
        "environment",
        &["error", "json", "message", "celery", "broker", "backend", "state", "config"],
    ),
    ("rpc", &["error", "celery", "state", "config", "environment", "server"]),
    ("server", &["error"]),
];

/// The modules of `main.rs`.
const PROGRAM: &[&str] = &["main", "lib", "arguments", "call", "check", "logging", "manual"];

/// Lines of code, tests and comments aside, beyond which a file probably holds two things.
const LONG: usize = 500;

/// Longer files, each with its reason.
const LONG_FOR_A_REASON: &[(&str, &str)] = &[];

#[test]
fn modules_import_only_from_their_layers() {
    let mut wrong = Vec::new();
    for file in files("src", "rs") {
        let module = module_of(&file);
        if PROGRAM.contains(&module.as_str()) {
            continue;
        }
        let layer = LAYERS.iter().find(|(name, _)| *name == module);
        let (_, allowed) = layer.unwrap_or_else(|| panic!("`{module}` is in no layer"));
        let known = |name: &&str| LAYERS.iter().any(|(module, _)| module == name);
        for used in imports(&code(&file)).iter().map(String::as_str).filter(known) {
            if used != module && !allowed.contains(&used) {
                wrong.push(format!("{}: {used}", file.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "imports from the wrong side");
}

#[test]
fn every_method_is_documented_and_played() {
    let page = read("docs/protocol.md");
    let played: String = files("tests/transcripts", "txt").iter().map(read).collect();
    for method in methods() {
        assert!(page.contains(&format!("### `{method}`")), "docs/protocol.md lacks {method}");
        let call = format!("\"method\": \"{method}\"");
        assert!(played.contains(&call), "no transcript calls {method}");
    }
}

#[test]
fn every_error_is_documented() {
    let page = read("docs/protocol.md");
    let source = code(&root().join("src/error.rs"));
    let (_, codes) = source.split_once("fn code(").unwrap();
    let (codes, rest) = codes.split_once("fn kind(").unwrap();
    let (kinds, _) = rest.split_once("fn data(").unwrap();
    let codes = codes.split(|c: char| c != '-' && !c.is_ascii_digit());
    let codes: Vec<_> = codes.filter(|word| word.starts_with("-32")).collect();
    let kinds: Vec<_> = kinds.split('"').skip(1).step_by(2).collect();
    assert!(codes.len() > 10 && kinds.len() > 10, "{codes:?} {kinds:?}");
    for word in codes.into_iter().chain(kinds) {
        assert!(page.contains(&format!("`{word}`")), "docs/protocol.md lacks {word}");
    }
}

#[test]
fn every_setting_is_documented() {
    let page = read("docs/configuration.md");
    let source = code(&root().join("src/config/file.rs"));
    let tables = source.split("deny_unknown_fields").skip(1);
    let keys = tables.flat_map(|table| {
        let (_, body) = table.split_once('{').unwrap();
        let (body, _) = body.split_once("\n}").unwrap();
        body.lines().filter_map(|line| line.trim().split_once(": ")).map(|(key, _)| key)
    });
    let keys: Vec<_> =
        keys.filter(|key| key.chars().all(|c| c == '_' || c.is_lowercase())).collect();
    assert!(keys.len() > 10, "{keys:?}");
    for key in keys {
        assert!(page.contains(&format!("`{key}`")), "docs/configuration.md lacks {key}");
    }
}

#[test]
fn every_option_of_the_command_line_is_documented() {
    let page = read("docs/configuration.md");
    let help = Command::new(crate::support::server::PROGRAM).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for option in help.split_whitespace().filter(|word| word.starts_with("--")) {
        assert!(page.contains(&format!("`{option}")), "docs/configuration.md lacks {option}");
    }
}

#[test]
fn every_view_is_in_the_help() {
    let help = read("doc/lazycelery.txt");
    let (_, views) = help.split_once("*lazycelery-views*").unwrap();
    let described: Vec<_> =
        views.lines().map(|line| line.split_once("  ").unwrap_or((line, ""))).collect();
    for view in files("lua/lazycelery/views", "lua") {
        let name = view.file_stem().unwrap().to_str().unwrap();
        let found = described.iter().any(|(term, _)| *term == name);
        assert!(found, "doc/lazycelery.txt, VIEWS, lacks {name}");
    }
}

/// `UPDATE=1` rewrites them, as it does the transcripts they come from.
#[test]
fn examples_in_the_protocol_page_are_played_ones() {
    let written = read("docs/protocol.md");
    let mut page = String::new();
    let mut rest = written.as_str();
    while let Some((before, found)) = rest.split_once("<!-- transcript ") {
        let (source, after) = found.split_once(" -->\n```text\n").expect("a block follows");
        let (_, after) = after.split_once("```\n").expect("the block ends");
        let (file, title) = source.split_once(": ").unwrap();
        let example = section(&read(transcripts::folder().join(file)), title);
        page += &format!("{before}<!-- transcript {source} -->\n```text\n{example}```\n");
        rest = after;
    }
    page += rest;
    if transcripts::updating() {
        fs::write(root().join("docs/protocol.md"), page).unwrap();
    } else {
        assert!(page == written, "an example is stale: UPDATE=1 cargo test --test suite tidy");
    }
}

#[test]
fn files_hold_one_thing() {
    let mut long: Vec<(String, usize)> = Vec::new();
    for file in [files("src", "rs"), files("lua", "lua"), files("plugin", "lua")].concat() {
        let lines = code(&file).lines().filter(|line| is_code(line)).count();
        let name = file.strip_prefix(root()).unwrap().display().to_string();
        if lines > LONG && LONG_FOR_A_REASON.iter().all(|(listed, _)| *listed != name) {
            long.push((name, lines));
        }
    }
    assert_eq!(long, [], "more than {LONG} lines of code");
}

#[test]
fn nothing_names_one_machine() {
    let places = ["root", "work", "farm", "tmp/venv"].map(|place| format!("/{place}/"));
    for file in tracked() {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (number, line) in text.lines().enumerate() {
            let named = places.iter().find(|place| line.contains(place.as_str()));
            assert!(named.is_none(), "{}:{}: {line}", file.display(), number + 1);
        }
    }
}

/// What the real binary says it can be asked, the ends of subscriptions aside: those stand with
/// what they end.
fn methods() -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let recording = home.path().join("empty");
    fs::write(&recording, "").unwrap();
    let url = format!("replay:{}", recording.display());
    let mut server = Server::start_in(home, Framing::Lines, &["--broker", &url], &[]);
    let answer = server.call("initialize", json!({})).unwrap();
    let methods = answer["capabilities"]["methods"].as_array().unwrap();
    let methods: Vec<_> = methods.iter().filter_map(Value::as_str).map(String::from).collect();
    assert!(methods.len() > 15, "{methods:?}");
    methods
}

/// The text of one `## title` of a transcript, from its first arrow on.
fn section(transcript: &str, title: &str) -> String {
    let heading = format!("## {title}\n");
    let (_, after) = transcript.split_once(&heading).unwrap_or_else(|| panic!("no {heading}"));
    let section = after.split("\n## ").next().unwrap();
    let lines = section.lines().skip_while(|line| !line.starts_with("--> "));
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned() + "\n"
}

fn module_of(file: &Path) -> String {
    let below = file.strip_prefix(root().join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str();
    Path::new(first).file_stem().unwrap().to_string_lossy().into_owned()
}

/// The modules after each `crate::`, braces included.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let after = &code[at + "crate::".len()..];
        let names = match after.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap().split(',').collect(),
            None => vec![after],
        };
        let name = |text: &str| {
            text.trim().split(|c: char| c != '_' && !c.is_alphanumeric()).next().map(String::from)
        };
        found.extend(names.into_iter().filter_map(name));
    }
    found
}

/// A file without its tests and comments.
fn code(file: &Path) -> String {
    let text = read(file);
    let code = text.split("#[cfg(test)]\nmod").next().unwrap();
    let lines = code.lines().filter(|line| !is_comment(line));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") || line.starts_with("--")
}

fn is_code(line: &str) -> bool {
    !line.trim().is_empty()
}

/// Files below a folder, by extension. Folders called `tests` hold none of what is shipped.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|_| panic!("{}", folder.display())) {
            let path = entry.unwrap().path();
            let tests = path.file_stem().is_some_and(|stem| stem == "tests");
            if path.is_dir() && !tests {
                folders.push(path);
            } else if !tests && path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Everything git knows here.
fn tracked() -> Vec<PathBuf> {
    let listed = Command::new("git").arg("ls-files").current_dir(root()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(!listed.is_empty(), "not in a git work tree");
    listed.lines().map(|name| root().join(name)).collect()
}

fn read(file: impl AsRef<Path>) -> String {
    let file = root().join(file);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
