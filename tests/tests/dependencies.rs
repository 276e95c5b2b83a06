//! The direction of dependencies: the laptop's half never sees libbpf, root or Linux, and the contract sees neither
//! half's Parquet library.

use argus_tests::{run, shown, workspace};
use std::collections::BTreeSet;
use std::process::Command;

fn cargo_tree(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    let output = run(command.current_dir(workspace()).args(["tree", "--locked", "--prefix", "none"]).args(arguments));
    assert!(output.status.success(), "cargo tree {arguments:?}: {}", shown(&output));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn dependencies(package: &str) -> BTreeSet<String> {
    let tree = cargo_tree(&["-p", package, "-e", "normal,build,dev", "-f", "{p}"]);
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[track_caller]
fn check_absent(package: &str, forbidden: &[&str]) {
    let all = dependencies(package);
    assert!(all.contains(package), "cargo tree lists the package itself: {all:?}");
    for name in forbidden {
        let found: Vec<_> = all.iter().filter(|one| *one == name || one.starts_with(&format!("{name}-"))).collect();
        assert!(found.is_empty(), "{package} must not depend on {name}, but does: {found:?}");
    }
}

#[test]
fn the_analyser_knows_nothing_of_the_capture() {
    check_absent("argus-analyze", &["libbpf", "argus-bpf", "argus-capture", "arrow", "parquet", "nix"]);
}

#[test]
fn the_contract_knows_neither_half() {
    check_absent(
        "argus-schemas",
        &["libbpf", "argus-bpf", "argus-capture", "argus-analyze", "arrow", "parquet", "polars", "nix"],
    );
}

#[test]
fn the_capture_knows_nothing_of_the_analyser() {
    check_absent("argus-capture", &["argus-analyze", "polars", "petgraph"]);
}

#[test]
fn a_plain_build_needs_no_ebpf() {
    // Without -p, cargo tree takes the default members.
    let tree = cargo_tree(&["--depth", "0", "-f", "{p}"]);
    let members: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(
        members.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>(),
        ["argus-analyze", "argus-schemas"]
    );
}

/// Polars takes half an hour of processor time to compile. It is compiled once only if every command of the Makefile
/// that builds it asks for the same features of everything that it depends on.
#[test]
fn polars_is_compiled_once() {
    let features = |edges: &str, packages: &[&str]| -> BTreeSet<String> {
        let mut arguments = vec!["-e", edges, "-f", "{p} {f}"];
        arguments.extend(packages.iter().flat_map(|package| ["-p", *package]));
        let tree = cargo_tree(&arguments);
        let lines = tree.lines().map(|line| line.trim_end_matches(" (*)").to_owned());
        // The dependencies of polars: with `cargo tree -p polars`, only names; so all, less our own crates.
        lines.filter(|line| !line.is_empty() && !line.starts_with("argus-")).collect()
    };
    let demo = features("normal,build", &["argus-schemas", "argus-analyze"]);
    let alone = features("normal,build", &["argus-analyze"]);
    let tests = features("normal,build,dev", &["argus-schemas", "argus-analyze"]);
    assert_eq!(demo, alone, "building argus-analyze alone takes other features");
    let lost: Vec<_> = demo.difference(&tests).collect();
    assert!(lost.is_empty(), "the tests' dependencies change the features of {lost:?}, so polars is compiled again");
}
