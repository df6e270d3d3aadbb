//! The program as scripts see it: stdout, stderr and exit code, in a sealed home without any docker.
//!
//! Wiring, not logic: what the verbs decide is tested in the core, what they do to the world on real engines.

#![expect(
    clippy::disallowed_methods,
    reason = "the test plays the user: it writes files and runs the program"
)]
#![expect(
    clippy::unwrap_used,
    reason = "the helpers belong to the tests, where a failure is a failed test"
)]
#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use std::{
    fs,
    process::{Command, Stdio},
};

use expect_test::{Expect, expect};
use tempfile::TempDir;

/// A home with nothing in it, and no docker within reach.
struct Machine {
    home: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self {
            // Always a path of the same length: lines are wrapped with it inside.
            home: tempfile::tempdir_in("/tmp").unwrap(),
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.home.path().join(name), text).unwrap();
    }

    /// Runs a command line and returns its exit code, stdout and stderr, places and times replaced.
    fn run(&self, words: &str) -> (i32, String, String) {
        let home = self.home.path();
        let output = Command::new(env!("CARGO_BIN_EXE_rekit"))
            .args(words.split_whitespace())
            .env_clear()
            .env("HOME", home)
            .env("PATH", "")
            .env(
                "DOCKER_HOST",
                format!("unix://{}/docker.sock", home.display()),
            )
            .current_dir(home)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes)
                .unwrap()
                .replace(&home.display().to_string(), "HOME")
        };
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn check(&self, words: &str, expected: &Expect) {
        let (code, stdout, stderr) = self.run(words);
        let said = format!("exit {code}\n── stdout\n{stdout}── stderr\n{stderr}");
        // White space at the end of a line is nothing that anybody sees.
        let lines: Vec<_> = said.lines().map(str::trim_end).collect();
        expected.assert_eq(&(lines.join("\n") + "\n"));
    }

    fn json(&self, words: &str) -> (i32, serde_json::Value) {
        let (code, stdout, stderr) = self.run(&format!("{words} --format json"));
        let document = serde_json::from_str(&stdout)
            .unwrap_or_else(|error| panic!("{words}: {error}\n{stdout}\n{stderr}"));
        (code, document)
    }
}

#[test]
fn help_lists_every_verb() {
    Machine::new().check("--help", &expect![[r#"
        exit 0
        ── stdout
        Find, back up, replace and prove everything BuildKit on this machine

        Verbs that look change nothing. Verbs that change show their plan and ask first; every change is
        journalled and can be taken back.

        Exit codes: 0 done or healthy, 1 failed (where things stand is printed), 2 wrong use or bad input, 3
        something needs care, 4 refused for safety, 5 failed and rolled back by itself, 130 interrupted.

        Usage: rekit [OPTIONS] <COMMAND>

        Commands:
          inventory    List everything BuildKit that is found here
          doctor       Say what is wrong, why, and how to mend it
          explain      Say what is behind a finding or a pasted error, and what to do
          plan         Show what a reinstall would do
          reinstall    Put every builder on a fresh, proven node
          install      Make the builder that the goal names, where it is not there
          clean        Remove builders and remnants, each cache after its archive was read back
          apply        Carry out a plan that was written before
          validate     Prove every builder with real builds
          status       Say where things stand
          generations  List the generations, or say what differs between two
          rollback     Take back the open run, or go back to an earlier generation
          resume       Go on with a run that broke off
          finalize     End the probation: remove what is parked, keep its archives
          backup       Make, check, rehearse, list, bring back and prune archives
          help         Print this message or the help of the given subcommand(s)

        Options:
          -h, --help
                  Print help (see a summary with '-h')

          -V, --version
                  Print version

        Manner:
              --format <FORMAT>
                  Write a table for people, or one JSON document

                  Possible values:
                  - table: Text for people
                  - json:  One JSON document

                  [default: table]

              --color <WHEN>
                  Colour the text; `auto` does on a terminal, unless `NO_COLOR` is set

                  Possible values:
                  - auto:   On a terminal
                  - always: Always
                  - never:  Never

                  [default: auto]

          -y, --yes
                  Change without asking

          -q, --quiet
                  Leave out the plan and the progress
        ── stderr
    "#]]);
}

#[test]
fn an_unknown_flag_is_exit_2() {
    let machine = Machine::new();
    machine.check(
        "doctor --fast",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: unexpected argument '--fast' found
        state: nothing was changed
         next: Usage: rekit doctor [OPTIONS]
               For more information, try '--help'.
    "#]],
    );
    machine.check(
        "doctor --fast --format json",
        &expect![[r#"
        exit 2
        ── stdout
        {
          "schema": "rekit/error",
          "version": 1,
          "code": "usage",
          "message": "unexpected argument '--fast' found",
          "cause": [],
          "state": "nothing was changed",
          "next": [
            "Usage: rekit doctor [OPTIONS]",
            "For more information, try '--help'."
          ]
        }
        ── stderr
    "#]],
    );
    machine.check(
        "docter",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: unrecognized subcommand 'docter'
        state: nothing was changed
         next: a similar subcommand exists: 'doctor'
               Usage: rekit [OPTIONS] <COMMAND>
               For more information, try '--help'.
    "#]],
    );
    machine.check(
        "",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: a verb is missing
        state: nothing was changed
         next: `rekit --help` lists them
    "#]],
    );
}

/// What else is found depends on the programs of the machine that the test runs on.
#[test]
fn an_engine_that_does_not_answer_needs_care() {
    let machine = Machine::new();
    let (code, document) = machine.json("doctor");
    assert_eq!((code, &document["schema"]), (3, &"rekit/findings".into()));
    let findings = document["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["code"] == "RK105"));
    let (code, _, _) = machine.run("inventory");
    assert_eq!(code, 0);
}

#[test]
fn a_code_is_explained() {
    let machine = Machine::new();
    machine.check(
        "explain RK999",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: there is no finding with the code `RK999`
        state: nothing was changed
         next: `rekit doctor` prints the code in front of each finding
    "#]],
    );
    assert_eq!(machine.json("explain rk401").1["code"], "RK401");
}

#[test]
fn garbage_collection_is_a_topic_of_its_own() {
    let machine = Machine::new();
    machine.check(
        "explain gc",
        &expect![[r#"
            exit 0
            ── stdout
            No BuildKit daemon was found on this machine: nothing collects.
            ── stderr
        "#]],
    );
    machine.check(
        "explain gc team",
        &expect![[r#"
            exit 2
            ── stdout
            ── stderr
            error: there is no builder, node, context or address `team`
            state: nothing was changed
             next: `rekit explain gc` tells of all that there are
        "#]],
    );
    machine.check(
        "explain RK401 team",
        &expect![[r#"
            exit 2
            ── stdout
            ── stderr
            error: `team` is one word too many
            state: nothing was changed
             next: only `rekit explain gc` takes a builder behind it
        "#]],
    );
    let (code, told) = machine.json("explain gc");
    assert_eq!((code, &told["schema"]), (0, &"rekit/collections".into()));
}

#[test]
fn a_pasted_error_is_explained() {
    let machine = Machine::new();
    machine.write(
        "build.log",
        "#6 0.1 exec /bin/sh: exec format error\n\
         #6 ERROR: process \"/bin/sh -c true\" did not complete successfully: exit code: 1\n",
    );
    machine.check("explain build.log", &expect![[r#"
        exit 0
        ── stdout
        2. own command failed
          said:  line 2: #6 ERROR: process "/bin/sh -c true" did not complete successfully: exit code: 1
         cause:  A command of the Dockerfile itself failed. BuildKit only reports it; the lines before say
                 why.
          next:  read the step's own output: `docker buildx history logs` shows it again

        1. foreign program
          said:  line 1: #6 0.1 exec /bin/sh: exec format error
         cause:  A step ran a program of another platform, and no emulator serves it inside containers:
                 emulators are registered in the kernel and gone after a reboot.
          here:  nothing of the kind was found on this machine (RK501, RK502, RK503)
          next:  `rekit doctor` tells which platforms are emulated; register the emulators again, so that
                 they last (flag F)

        2 likely causes in 2 lines, the likeliest last; none of them was found by `rekit doctor` on this machine.
        ── stderr
    "#]]);
    machine.check("explain gone.log", &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: `gone.log` is neither a finding's code nor a file that can be read
        cause: no such file or directory
        state: nothing was changed
         next: `rekit doctor` prints the code in front of each finding; of a long log, `tail -n 2000 LOG |
               rekit explain`
    "#]]);
}

#[test]
fn there_is_nothing_to_go_back_to() {
    let machine = Machine::new();
    machine.check(
        "rollback --yes",
        &expect![[r#"
            exit 2
            ── stdout
            ── stderr
            error: there is no generation before this one
            state: nothing was changed
             next: `rekit generations` lists those that were
        "#]],
    );
    machine.check(
        "rollback 7 --yes",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: generation 7 never was in force here
        state: nothing was changed
         next: `rekit generations` lists those that were
    "#]],
    );
    machine.check(
        "rollback --yes --format json",
        &expect![[r#"
            exit 2
            ── stdout
            {
              "schema": "rekit/error",
              "version": 1,
              "code": "nothing-before",
              "message": "there is no generation before this one",
              "cause": [],
              "state": "nothing was changed",
              "next": [
                "`rekit generations` lists those that were"
              ]
            }
            ── stderr
        "#]],
    );
}

#[test]
fn nothing_to_do_is_no_change() {
    let machine = Machine::new();
    machine.check(
        "finalize",
        &expect![[r#"
        exit 0
        ── stdout
        Nothing to do: nothing is parked that could be removed.
        ── stderr
    "#]],
    );
    for words in ["finalize", "resume"] {
        let (code, document) = machine.json(words);
        assert_eq!((code, &document["changed"]), (0, &false.into()), "{words}");
    }
}

#[test]
fn looks_need_no_history() {
    let machine = Machine::new();
    machine.check(
        "status",
        &expect![[r#"
        exit 0
        ── stdout
        Generation 0 is in force: what was there before rekit.
        No run is open.
        ── stderr
    "#]],
    );
    machine.check(
        "generations",
        &expect![[r#"
        exit 0
        ── stdout
         GENERATION            BROUGHT BY    SINCE
         0           in force  before rekit
        ── stderr
    "#]],
    );
    machine.check(
        "backup list",
        &expect![[r#"
        exit 0
        ── stdout
        There are no archives yet; `rekit backup create` makes one.
        ── stderr
    "#]],
    );
    machine.check(
        "validate -q",
        &expect![[r#"
        exit 0
        ── stdout
        There is no builder to prove.
        ── stderr
    "#]],
    );
    assert!(
        !machine.home.path().join(".local").exists(),
        "a look leaves nothing behind"
    );
}

#[test]
fn a_misspelt_key_of_the_goal_is_underlined() {
    let machine = Machine::new();
    machine.write("rekit.toml", "# ours\n[cache]\nmax-usd = \"20GB\"\n");
    machine.check(
        "reinstall --yes",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: rekit.toml:3:1: the goal cannot be read
                |
              3 | max-usd = "20GB"
                | ^^^^^^^
        cause: unknown field `max-usd`, expected one of `reserved`, `max-used`, `min-free`,
               `max-parallelism`
        state: nothing was changed
         next: correct line 3 of `rekit.toml` and run the same command again
    "#]],
    );
    machine.check(
        "plan --goal gone.toml",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: `gone.toml` cannot be read
        cause: no such file or directory
        state: nothing was changed
         next: name a goal file that this account can read
    "#]],
    );
}

#[test]
fn without_an_engine_there_is_no_plan() {
    Machine::new().check(
        "reinstall --yes",
        &expect![[r#"
            exit 4
            ── stdout
            ── stderr
            error: no Docker engine answers, so there is nothing to install on
            cause: `unix://HOME/docker.sock`: could not reach the engine: could not connect to
                   `unix://HOME/docker.sock`: no such file or directory
            state: nothing was changed
             next: `rekit doctor` says what is wrong with this machine's engines and store
        "#]],
    );
}

#[test]
fn without_a_terminal_a_change_needs_yes() {
    let machine = Machine::new();
    let (code, _, stderr) = machine.run("backup create");
    assert_eq!(code, 2, "{stderr}");
    machine.check(
        "backup create -q",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: this changes the machine, and there is no terminal to ask at
        state: nothing was changed
         next: read the plan, then run the same command with --yes
    "#]],
    );
    assert!(
        !machine.home.path().join(".local").exists(),
        "nothing was changed"
    );
}

#[test]
fn an_archive_is_made_listed_and_proven() {
    let machine = Machine::new();
    let (code, stdout, stderr) = machine.run("backup create --yes");
    assert_eq!(code, 0, "{stderr}");
    let path = stdout
        .lines()
        .last()
        .unwrap()
        .replace("HOME", machine.home.path().to_str().unwrap());
    let (code, document) = machine.json(&format!("backup verify {path}"));
    assert_eq!((code, &document["sound"]), (0, &true.into()));
    let (_, document) = machine.json("backup list");
    assert_eq!(document["archives"][0]["complete"], true);
    fs::write(format!("{path}/manifest.json"), "{}").unwrap();
    let (code, document) = machine.json(&format!("backup verify {path}"));
    assert_eq!((code, &document["schema"]), (4, &"rekit/error".into()));
    machine.check(
        "backup verify gone",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: there is no archive `gone`
        state: nothing was changed
         next: `rekit backup list` lists the archives
    "#]],
    );
}

#[test]
fn what_can_be_done_with_archives() {
    Machine::new().check("backup --help", &expect![[r#"
        exit 0
        ── stdout
        Make, check, rehearse, list, bring back and prune archives

        Usage: rekit backup [OPTIONS] <COMMAND>

        Commands:
          create    Archive builders and folders of cache: configuration, each node's state, exported caches
          export    Write an archive into one file that `tar` reads
          import    Bring an exported file's archives into rekit's own directory
          verify    Read every byte of an archive back
          rehearse  Prove an archived state by using it: a daemon on a copy of it must find its cache
          show      Say what an archive holds
          list      List the archives in rekit's own directory
          prune     Remove archives that nothing needs any more from rekit's own directory
          restore   Bring an archive back: a state into a builder, a folder to its place, files of
                    configuration
          help      Print this message or the help of the given subcommand(s)

        Options:
          -h, --help
                  Print help (see a summary with '-h')

        Manner:
              --format <FORMAT>
                  Write a table for people, or one JSON document

                  Possible values:
                  - table: Text for people
                  - json:  One JSON document

                  [default: table]

              --color <WHEN>
                  Colour the text; `auto` does on a terminal, unless `NO_COLOR` is set

                  Possible values:
                  - auto:   On a terminal
                  - always: Always
                  - never:  Never

                  [default: auto]

          -y, --yes
                  Change without asking

          -q, --quiet
                  Leave out the plan and the progress
        ── stderr
    "#]]);
}

#[test]
fn an_archive_leaves_in_one_file_and_comes_back() {
    let machine = Machine::new();
    let (code, stdout, stderr) = machine.run("backup create --yes");
    assert_eq!(code, 0, "{stderr}");
    let id = stdout.trim_end().rsplit('/').next().unwrap();
    let (code, file) = machine.json(&format!("backup export {id} one.tar"));
    assert_eq!((code, &file["schema"]), (0, &"rekit/exported".into()));
    let (code, failure) = machine.json(&format!("backup export {id} one.tar"));
    assert_eq!((code, &failure["code"]), (2, &"no-file".into()));
    let (code, again) = machine.json("backup import one.tar");
    assert_eq!((code, &again["changed"]), (0, &false.into()));
    let home = machine.home.path().join(".local/state/rekit");
    fs::remove_dir_all(&home).unwrap();
    let (code, imported) = machine.json("backup import one.tar");
    assert_eq!((code, &imported["schema"]), (0, &"rekit/imported".into()));
    let (came, left) = (&imported["archives"][0], &file["archives"][0]);
    assert_eq!(came["identity"], left["identity"]);
    assert_eq!(machine.json(&format!("backup verify {id}")).0, 0);
}

#[test]
fn a_file_that_is_no_archive_leaves_nothing() {
    let machine = Machine::new();
    machine.write("cut.tar", "");
    let home = machine.home.path().join(".local/state/rekit");
    machine.check("backup import cut.tar", &expect![[r#"
        exit 4
        ── stdout
        ── stderr
        error: the file is cut off
        state: nothing of the file was kept
         next: export the archive again where it came from, and compare the `sha256sum` of both files
    "#]]);
    assert_eq!(fs::read_dir(home.join("archives")).unwrap().count(), 0);
    machine.check(
        "backup import gone.tar",
        &expect![[r#"
            exit 2
            ── stdout
            ── stderr
            error: `HOME/gone.tar` cannot be read
            cause: no such file or directory
            state: nothing was changed
             next: `rekit status` says where things stand
        "#]],
    );
    machine.check(
        "backup export cut.tar gone/one.tar",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: `HOME/gone/one.tar` cannot be made
        cause: no such file or directory
        state: nothing was changed
         next: name a file that is not there yet, in a folder that you may write to
    "#]],
    );
    machine.check(
        "backup export gone -",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: there is no archive `gone`
        state: nothing was changed
         next: `rekit backup list` lists the archives
    "#]],
    );
}

/// Keys made for this test alone.
const KEY: &str = "AGE-SECRET-KEY-1DXAGU6PRTCJFU7NLN00TY4R77DPRLTN03G7MN8ZV8S7GAV4GGLVQ2Q7240\n";
const RECIPIENT: &str = "age1lkughgkcwejhcgkf56enyp08rf9vqsp7vge4duxueh6ryh23q4vq4097xg";
const OTHER_KEY: &str =
    "AGE-SECRET-KEY-1AJZD0N4Q6QAFZ86QHEWJ0VK5QY7TRS65SJYF5ZQ6EK4L23NA2CGSDF9XAC\n";

#[test]
fn an_encrypted_file_is_for_its_recipients_alone() {
    let machine = Machine::new();
    machine.write("key", KEY);
    machine.write("other", OTHER_KEY);
    machine.write("recipients", &format!("# the team\n{RECIPIENT}\n"));
    let (_, stdout, _) = machine.run("backup create --yes");
    let id = stdout.trim_end().rsplit('/').next().unwrap();
    for option in [
        format!("--recipient {RECIPIENT}"),
        "--recipients-file recipients".to_owned(),
    ] {
        let (code, file) = machine.json(&format!("backup export {id} {option}"));
        assert_eq!((code, &file["encrypted"]), (0, &true.into()));
        let path = machine.home.path().join(format!("{id}.tar.age"));
        assert_eq!(file["path"], format!("HOME/{id}.tar.age"));
        fs::rename(path, machine.home.path().join("one.age")).unwrap();
    }
    fs::remove_dir_all(machine.home.path().join(".local")).unwrap();
    machine.check(
        "backup import one.age",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: the file is encrypted, and no identity was named that opens it
        state: nothing was changed
         next: `--identity FILE` with the private key of one of its recipients
               or, with age itself: `age -d -i KEY FILE | rekit backup import -`
    "#]],
    );
    machine.check("backup import one.age --identity other", &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: none of the identities opens the file
        state: nothing was changed
         next: ask whoever exported it for whom it is encrypted
               a key that age opens and rekit does not (SSH, plugin, passphrase): `age -d -i KEY FILE |
               rekit backup import -`
    "#]]);
    let (code, imported) = machine.json("backup import one.age --identity key");
    assert_eq!((code, &imported["changed"]), (0, &true.into()));
    // What is not encrypted needs no identity, and one does no harm.
    machine.run(&format!("backup export {id} one.tar"));
    assert_eq!(machine.run("backup import one.tar --identity key").0, 0);
}

#[test]
fn a_stream_has_stdout_for_itself() {
    let machine = Machine::new();
    let there = machine.home.path().join("there");
    let line = format!(
        "rekit backup create --yes --to - | REKIT_HOME={} rekit backup import -",
        there.display()
    );
    let rekit = std::path::Path::new(env!("CARGO_BIN_EXE_rekit"));
    let shell = Command::new("/bin/sh")
        .args(["-c", &line])
        .env_clear()
        .env("HOME", machine.home.path())
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .env("PATH", rekit.parent().unwrap())
        .output()
        .unwrap();
    let stderr = String::from_utf8(shell.stderr).unwrap();
    assert_eq!(shell.status.code(), Some(0), "{stderr}");
    assert!(
        stderr.contains("no longer in rekit's own directory"),
        "{stderr}"
    );
    machine.check(
        "backup list",
        &expect![[r#"
        exit 0
        ── stdout
        There are no archives yet; `rekit backup create` makes one.
        ── stderr
    "#]],
    );
    let (code, failure) = machine.json("backup create --yes --to -");
    assert_eq!((code, &failure["code"]), (2, &"usage".into()));
    let recipients = format!("backup create --yes --recipient {RECIPIENT}");
    machine.check(
        &recipients,
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: an archive in a folder is not encrypted, only what is streamed or exported
        state: nothing was changed
         next: `--to -` streams it, or `rekit backup export` writes it into a file
    "#]],
    );
}

#[test]
fn keys_in_the_wrong_place_are_never_repeated() {
    let machine = Machine::new();
    machine.write("key", KEY);
    machine.write("keys", &format!("nonsense\n{KEY}"));
    machine.write("recipients", KEY);
    machine.run("backup create --yes");
    let (_, list) = machine.json("backup list");
    let id = list["archives"][0]["id"].as_str().unwrap().to_owned();
    let secret = KEY.trim();
    for words in [
        format!("backup export {id} one.age --recipient {secret}"),
        format!("backup export {id} one.age --recipients-file recipients"),
        format!("backup export {id} one.age --recipients-file gone"),
        format!("backup export {id} one.age --identity {secret}"),
        "backup import one.age --identity keys".to_owned(),
        "backup import one.age --identity recipients".to_owned(),
    ] {
        for words in [words.clone(), format!("{words} --format json")] {
            let (code, stdout, stderr) = machine.run(&words);
            assert_eq!(code, 2, "{words}: {stderr}");
            assert!(
                !format!("{stdout}{stderr}").contains("SECRET"),
                "{stdout}{stderr}"
            );
        }
    }
    let refused = format!("backup export {id} one.age --recipient {secret}");
    machine.check(&refused, &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: line 1 of `--recipient` number 1 is no age recipient: one begins with `age1`
        state: nothing was changed
         next: `age-keygen -y KEYFILE` prints the recipient of a private key; other kinds (SSH, plugins):
               `rekit backup export ARCHIVE - | age -r …`
    "#]]);
    machine.check("backup import key --identity keys", &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: `HOME/keys` holds no age identity that can be used
        cause: identity file contains non-identity data on line 1
        state: nothing was changed
         next: `age-keygen -o FILE` writes such a file; one with a passphrase: `age -d FILE | rekit backup
               import -`
    "#]]);
}

#[test]
fn a_damaged_archive_is_not_exported() {
    let machine = Machine::new();
    let (_, stdout, _) = machine.run("backup create --yes");
    let path = stdout.lines().last().unwrap();
    let path = path.replace("HOME", machine.home.path().to_str().unwrap());
    fs::write(format!("{path}/RESTORE.md"), "rm -rf /").unwrap();
    let (code, failure) = machine.json(&format!("backup export {path} one.tar"));
    assert_eq!((code, &failure["code"]), (4, &"archive-faulty".into()));
    let left = fs::read_dir(machine.home.path()).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name());
    assert_eq!(
        left.collect::<Vec<_>>(),
        [".local"],
        "not even a temporary file"
    );
}

#[test]
fn an_export_says_what_it_does() {
    Machine::new().check("backup export --help", &expect![[r#"
        exit 0
        ── stdout
        Write an archive into one file that `tar` reads

        The file holds the archive's folder with everything in it: after `tar -x` the commands of its
        RESTORE.md work, without rekit. Every byte is compared with the archive's sums on its way, and the
        file gets its name only when it is whole. On stdout, what breaks off before its end is no archive:
        no import takes it.

        Usage: rekit backup export [OPTIONS] <ARCHIVE> [FILE]

        Arguments:
          <ARCHIVE>
                  The archive: its folder, or its name in rekit's own directory

          [FILE]
                  The new file, or `-` for stdout; without it: the archive's name and `.tar` (`.tar.age` if
                  encrypted), in the working folder

        Options:
              --recipient <RECIPIENT>
                  Encrypt for this age recipient (`age1…`); may be repeated

              --recipients-file <FILE>
                  Encrypt for the age recipients in this file, one a line; may be repeated

          -h, --help
                  Print help (see a summary with '-h')

        Manner:
              --format <FORMAT>
                  Write a table for people, or one JSON document

                  Possible values:
                  - table: Text for people
                  - json:  One JSON document

                  [default: table]

              --color <WHEN>
                  Colour the text; `auto` does on a terminal, unless `NO_COLOR` is set

                  Possible values:
                  - auto:   On a terminal
                  - always: Always
                  - never:  Never

                  [default: auto]

          -y, --yes
                  Change without asking

          -q, --quiet
                  Leave out the plan and the progress
        ── stderr
    "#]]);
}

#[test]
fn an_import_says_what_it_does() {
    Machine::new().check("backup import --help", &expect![[r#"
        exit 0
        ── stdout
        Bring an exported file's archives into rekit's own directory

        Every byte is read back from the disk before an archive gets its name. What earlier archives hold is
        shared with them. An archive that is there already stays as it is; another one of the same name is
        refused.

        Usage: rekit backup import [OPTIONS] <FILE>

        Arguments:
          <FILE>
                  The exported file, or `-` for stdin

        Options:
              --identity <FILE>
                  Open an encrypted file with the private keys of this file, as `age-keygen` writes it

          -h, --help
                  Print help (see a summary with '-h')

        Manner:
              --format <FORMAT>
                  Write a table for people, or one JSON document

                  Possible values:
                  - table: Text for people
                  - json:  One JSON document

                  [default: table]

              --color <WHEN>
                  Colour the text; `auto` does on a terminal, unless `NO_COLOR` is set

                  Possible values:
                  - auto:   On a terminal
                  - always: Always
                  - never:  Never

                  [default: auto]

          -y, --yes
                  Change without asking

          -q, --quiet
                  Leave out the plan and the progress
        ── stderr
    "#]]);
}

#[test]
fn a_rehearsal_says_what_it_does() {
    Machine::new().check("backup rehearse --help", &expect![[r#"
        exit 0
        ── stdout
        Prove an archived state by using it: a daemon on a copy of it must find its cache

        The archive is read back and unpacked into a volume of its own; a daemon of the image that the state
        was used with starts on it, without garbage collection and without a network, and builds. Container
        and volume are removed again, however it ends. The engine's disk needs room for the whole state.

        Usage: rekit backup rehearse [OPTIONS] <ARCHIVE>

        Arguments:
          <ARCHIVE>
                  The archive: its folder, or its name in rekit's own directory

        Options:
          -h, --help
                  Print help (see a summary with '-h')

        Manner:
              --format <FORMAT>
                  Write a table for people, or one JSON document

                  Possible values:
                  - table: Text for people
                  - json:  One JSON document

                  [default: table]

              --color <WHEN>
                  Colour the text; `auto` does on a terminal, unless `NO_COLOR` is set

                  Possible values:
                  - auto:   On a terminal
                  - always: Always
                  - never:  Never

                  [default: auto]

          -y, --yes
                  Change without asking

          -q, --quiet
                  Leave out the plan and the progress
        ── stderr
    "#]]);
}

#[test]
fn prune_says_what_it_keeps() {
    Machine::new().check("backup prune --help", &expect![[r#"
        exit 0
        ── stdout
        Remove archives that nothing needs any more from rekit's own directory

        An archive goes only if no option keeps it. What a run that is open, a parked node or the way back
        to a generation needs always stays.

        Usage: rekit backup prune [OPTIONS] <--keep <N>|--older-than <AGE>>

        Options:
              --keep <N>
                  Keep the newest N archives of each volume, folder, builder and engine, and of the
                  configuration

              --older-than <AGE>
                  Remove only what is older: hours, days or weeks, such as `30d`

              --dry-run
                  Show what would go, and what that frees

          -h, --help
                  Print help (see a summary with '-h')

        Manner:
              --format <FORMAT>
                  Write a table for people, or one JSON document

                  Possible values:
                  - table: Text for people
                  - json:  One JSON document

                  [default: table]

              --color <WHEN>
                  Colour the text; `auto` does on a terminal, unless `NO_COLOR` is set

                  Possible values:
                  - auto:   On a terminal
                  - always: Always
                  - never:  Never

                  [default: auto]

          -y, --yes
                  Change without asking

          -q, --quiet
                  Leave out the plan and the progress
        ── stderr
    "#]]);
}

#[test]
fn an_archive_is_shown_and_pruned() {
    let machine = Machine::new();
    machine.run("backup create --yes");
    let (_, document) = machine.json("backup list");
    let id = document["archives"][0]["id"].as_str().unwrap().to_owned();
    let (code, shown) = machine.json(&format!("backup show {id}"));
    assert_eq!(
        (code, &shown["schema"], &shown["kind"], &shown["canary"]),
        (
            0,
            &"rekit/archive-content".into(),
            &"configuration".into(),
            &false.into()
        )
    );
    // Configuration has no daemon that it could be rehearsed with.
    let (code, document) = machine.json(&format!("backup rehearse {id}"));
    assert_eq!((code, &document["code"]), (2, &"archive-unusable".into()));

    machine.check(
        "backup prune",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: the following required arguments were not provided: <--keep <N>|--older-than <AGE>>
        state: nothing was changed
         next: Usage: rekit backup prune <--keep <N>|--older-than <AGE>>
               For more information, try '--help'.
    "#]],
    );
    machine.check(
        "backup prune --older-than soon",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: invalid value 'soon' for '--older-than <AGE>': a whole number and `h`, `d` or `w`
        state: nothing was changed
         next: For more information, try '--help'.
    "#]],
    );
    let (_, young) = machine.json("backup prune --older-than 1h --yes");
    assert_eq!(young["kept"][0]["reason"], "young");
    let (code, kept) = machine.json("backup prune --keep 1 --yes");
    assert_eq!((code, &kept["changed"]), (0, &false.into()));
    assert_eq!(kept["kept"][0]["reason"], "newest");
    let (code, pruned) = machine.json("backup prune --keep 0 --yes");
    assert_eq!((code, &pruned["changed"]), (0, &true.into()));
    assert_eq!(pruned["removed"][0]["id"], id);
    assert!(pruned["freed_bytes"].as_u64().unwrap() > 0);
    let (_, document) = machine.json("backup list");
    assert_eq!(document["archives"].as_array().unwrap().len(), 0);
}

/// A plan that removes a volume, as an attacker or a hasty hand would leave it.
fn plan(steps: &str) -> String {
    format!(
        r#"{{
  "schema": "rekit/plan", "version": 1, "run": "finalize-1", "purpose": "finalize", "made": "2026-01-01T00:00:00Z",
  "home": "/tmp/none", "archives": "/tmp/none/archives", "from_generation": 1, "to_generation": 1,
  "steps": [{steps}],
  "choices": [], "left_out": [], "interruptions": []
}}"#
    )
}

const VERIFY: &str =
    r#"{"id": 1, "why": "proof", "action": {"step": "verify-archive", "archive": "a"}}"#;
const REMOVE: &str = r#"{"id": 2, "why": "over", "action": {"step": "remove-volume",
      "volume": {"host": "unix:///x.sock", "volume": "v_state", "created_at": "x"}, "archive": "a", "verified_by": 1}}"#;

#[test]
fn a_plan_changed_by_hand_is_refused() {
    let machine = Machine::new();
    // The proof was cut out.
    machine.write("cut.json", &plan(REMOVE));
    machine.check(
        "apply cut.json --yes",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: the plan cannot be applied
        cause: step 2 stands where step 1 belongs
               step 2 `remove-volume` removes state, but no earlier step verified archive `a`
        state: nothing was changed
         next: do not edit a plan by hand: `rekit plan --out FILE` makes a new one
    "#]],
    );
    // The proof was cut out, and the numbers were mended.
    machine.write(
        "mended.json",
        &plan(&REMOVE.replace("\"id\": 2", "\"id\": 1")),
    );
    machine.check(
        "apply mended.json --yes",
        &expect![[r#"
        exit 4
        ── stdout
        ── stderr
        error: the plan cannot be applied
        cause: step 1 `remove-volume` removes state, but no earlier step verified archive `a`
        state: nothing was changed
         next: do not edit a plan by hand: `rekit plan --out FILE` makes a new one
    "#]],
    );
    assert!(
        !machine.home.path().join(".local").exists(),
        "nothing was changed"
    );
}

#[test]
fn a_plan_that_is_none_is_bad_input() {
    let machine = Machine::new();
    let stranger = VERIFY.replace("\"why\"", "\"force\": true, \"why\"");
    machine.write("stranger.json", &plan(&stranger));
    machine.check("apply stranger.json --yes", &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: stranger.json:4:29: this is no plan that this rekit knows
                |
              4 |   "steps": [{"id": 1, "force": true, "why": "proof", "action": {"step": "verify-archive", "archive": "a"}}],
                |                             ^
        cause: unknown field `force`, expected one of `id`, `why`, `action`
        state: nothing was changed
         next: do not edit a plan by hand: `rekit plan --out FILE` makes a new one
    "#]]);
    machine.check(
        "apply gone.json --yes",
        &expect![[r#"
        exit 2
        ── stdout
        ── stderr
        error: `gone.json` cannot be read
        cause: no such file or directory
        state: nothing was changed
         next: `rekit plan --out FILE` writes a plan
    "#]],
    );
    assert!(
        !machine.home.path().join(".local").exists(),
        "nothing was changed"
    );
}

#[test]
fn every_failure_is_one_document() {
    let machine = Machine::new();
    for (words, code) in [
        ("reinstall --yes", 4),
        ("rollback --yes", 2),
        ("apply gone.json", 2),
        ("explain RK999", 2),
        ("plan --goal gone.toml", 2),
        ("nonsense", 2),
        ("backup rehearse gone", 2),
        ("backup show gone", 2),
        ("backup prune", 2),
        ("backup export gone", 2),
        ("backup import gone", 2),
    ] {
        let (found, document) = machine.json(words);
        assert_eq!(
            (found, &document["schema"]),
            (code, &"rekit/error".into()),
            "{words}"
        );
        assert!(
            document["state"].is_string() && document["next"].is_array(),
            "{words}"
        );
    }
}
