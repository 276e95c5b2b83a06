//! Command lines: the text that a shell is given to run, however it is wrapped.

use super::parts;

/// The programs that take such a text after `-c`.
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "zsh", "ksh", "ash", "fish"];

/// Their options that take a word of their own.
const WITH_WORD: [&str; 2] = ["--rcfile", "--init-file"];

/// What Gemini CLI writes around a command, to learn what goes on in the background.
const WRAPPING: (&str, &str) = ("\n(\n  trap 'jobs -p > \"$_bgpids_file\"' EXIT\n", "\n)\n__code=$?\nexit $__code");

/// The last part of a path.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The texts that a command line has a shell run: what follows `-c`, and what that evaluates or wraps in turn. A shell may
/// stand behind other programs (`env`, `timeout 10`).
pub fn scripts(argv: &[String]) -> Vec<String> {
    let shells = argv.iter().enumerate().filter(|(_, word)| SHELLS.contains(&file_name(word)));
    let Some(script) = shells.filter_map(|(place, _)| after_c(&argv[place + 1..])).next() else { return Vec::new() };
    let words = parts(script);
    let evaluated = words.windows(2).filter(|two| two[0] == "eval").map(|two| two[1].clone());
    let wrapped = script.split_once(WRAPPING.0).and_then(|(_, rest)| rest.strip_suffix(WRAPPING.1));
    std::iter::once(script.to_owned()).chain(evaluated).chain(wrapped.map(str::to_owned)).collect()
}

/// The first word that is no option, if `-c` is among the options: `-c`, `-lc`, `-eu -o pipefail -c`.
fn after_c(arguments: &[String]) -> Option<&str> {
    let mut commanded = false;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if WITH_WORD.contains(&word.as_str()) {
            words.next();
        } else if let Some(letters) = word.strip_prefix(['-', '+']) {
            let letters = if letters.starts_with('-') { "" } else { letters };
            commanded |= letters.contains('c');
            if letters.ends_with(['o', 'O']) {
                words.next();
            }
        } else {
            return commanded.then_some(word);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_is_given() {
        for (argv, expected) in [
            (&["bash", "-lc", "touch x"][..], &["touch x"][..]),
            (&["/bin/sh", "-c", "touch x", "sh", "y"], &["touch x"]),
            (&["env", "A=1", "timeout", "9", "bash", "-eu", "-o", "pipefail", "-c", "make"], &["make"]),
            (&["bash", "-euo", "pipefail", "-c", "make"], &["make"]),
            (
                &["bash", "-c", "-l", "source s && eval 'echo '\\''a b'\\''' < /dev/null"],
                &["source s && eval 'echo '\\''a b'\\''' < /dev/null", "echo 'a b'"],
            ),
            (
                &[
                    "bash",
                    "-c",
                    "shopt -u promptvars; _bgpids_file='/t'\n(\n  trap 'jobs -p > \"$_bgpids_file\"' EXIT\nls | wc\n)\n__code=$?\nexit $__code",
                ],
                &[
                    "shopt -u promptvars; _bgpids_file='/t'\n(\n  trap 'jobs -p > \"$_bgpids_file\"' EXIT\nls | wc\n)\n__code=$?\nexit $__code",
                    "ls | wc",
                ],
            ),
            (&["bash", "script.sh", "-c", "x"], &[]),
            (&["bash", "--rcfile", "r", "-ic", "x"], &["x"]),
            (&["grep", "-c", "x"], &[]),
            (&["bash"], &[]),
        ] {
            let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(scripts(&argv), expected, "{argv:?}");
        }
    }
}
