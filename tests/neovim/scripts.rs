//! The scripts of `tests/nvim`: each runs inside a Neovim of its own, and raises where it fails.

use super::lab::{self, SMALL};
use crate::support::root;
use crate::support::tool;
use std::process::Command;

fn run(script: &str) {
    let mut nvim = lab::start(SMALL);
    lab::load(&mut nvim, &format!("require('{script}')"));
}

macro_rules! scripts {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            run(concat!(stringify!($name), "_spec"));
        }
    )*
        #[test]
        fn every_script_is_run() {
            let named = [$(stringify!($name)),*];
            for entry in std::fs::read_dir(root().join("tests/nvim")).unwrap() {
                let file = entry.unwrap().file_name().into_string().unwrap();
                if let Some(name) = file.strip_suffix("_spec.lua") {
                    assert!(named.contains(&name), "{file} is run by no test");
                }
            }
        }
    };
}

scripts! {
    ask config contract cursors folds format frame help hold name patch program queue_fate queue_plan resend state
    table task tell text timeline
}

/// The tables of the help are made from the Lua tables they describe.
#[test]
fn the_help_is_current() {
    let out = Command::new(tool("nvim"))
        .args(["-l", "scripts/help.lua", "--check"])
        .current_dir(root())
        .env_remove("VIM")
        .env_remove("VIMRUNTIME")
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// `:helptags` refuses a help file whose tags are double.
#[test]
fn the_help_has_its_tags() {
    let mut nvim = lab::start(SMALL);
    let doc = nvim.home().join("doc");
    std::fs::create_dir(&doc).unwrap();
    std::fs::copy(root().join("doc/lazycelery.txt"), doc.join("lazycelery.txt")).unwrap();
    nvim.command(&format!("helptags {}", doc.display()));
    let tags = std::fs::read_to_string(doc.join("tags")).unwrap();
    for tag in ["lazycelery-privacy", ":LazyCelery", "lazycelery-option-path_map"] {
        assert!(tags.contains(tag), "no tag {tag} in\n{tags}");
    }
}
