//! Cache mounts of builders whose files nobody reaches: brought out of one, into another, and found there by the project's own build.

use crate::support::{Answer, Machine};
use rekit_lab::{Address, StandaloneOptions};
use std::{collections::BTreeMap, fs};

/// Ten cache mounts, each of its own kind. Each is filled where it is empty, and told as it is found.
const DOCKERFILE: &str = r#"FROM scratch AS base
COPY busybox /bin/busybox
ENV PATH=/bin
RUN ["/bin/busybox", "--install", "-s", "/bin"]
FROM base AS seed
RUN mkdir /seed && echo seeded > /seed/first && chmod 2775 /seed
FROM base AS team
ARG ROUND
ARG FILL
ENV CACHES=/var/caches
COPY setcap /setcap
COPY tell fill /bin/
RUN --mount=type=cache,target=/root/.cache/tool/ tell plain /root/.cache/tool
RUN --mount=type=cache,id=cargo,target=/cargo tell cargo /cargo
RUN --mount=type=cache,id=owned,target=/owned,uid=1000,gid=1001,mode=0750 tell owned /owned
RUN --mount=type=cache,id=twice,target=/a --mount=type=cache,id=twice,target=/b,uid=0 \
    # the same id, and two caches
    tell twice /a && tell twice-uid /b
RUN --mount=type=cache,id=seeded,target=/s,from=seed,source=/seed,sharing=private tell seeded /s
RUN --mount=type=cache,target=${CACHES}/very/deep tell deep ${CACHES}/very/deep
RUN --mount=type=cache,id=odd,target=/odd tell odd /odd
RUN --mount=type=cache,id=empty,target=/empty tell empty /empty
RUN <<END
: RUN --mount=type=cache,id=never,target=/never
END
RUN --mount=type=cache,id=large,target=/large,mode=1777 tell large /large
"#;

/// Fills a mount that is empty (one that begins with a stage has a file already), then tells every place in it.
const TELL: &str = r#"#!/bin/sh
set -eu
name=$1 place=$2
[ -e $place/filled ] || [ "$FILL" = no ] || [ $name = empty ] || fill $name $place
cd $place
find . | sort | while IFS= read -r file; do
  sum=-; [ -f "$file" ] && [ ! -L "$file" ] && sum=$(sha256sum < "$file" | cut -c1-16)
  [ -e "$file" ] || [ -L "$file" ] || continue
  attributes=$(/setcap/loader --library-path /setcap /setcap/getfattr -hdm - -e hex "./$file" 2>/dev/null | tail -n +2 | tr '\n' ' ')
  echo "FOUND $name $(stat -c '%a %u:%g %h %F %Y %t:%T' "$file") $sum $file $attributes"
done
"#;

const FILL: &str = r#"#!/bin/sh
set -eu
name=$1; cd $2
echo "$name by $(cat /proc/sys/kernel/random/uuid)" > filled
mkdir -p lib/sub; chmod 0711 lib; echo "in $name" > lib/sub/file; touch -d '2020-01-02 03:04:05' lib/sub/file
case $name in
odd)
  for odd in 'with  space' "quote\"s'" ünicode "$(printf 'new\nline')" -dash .hidden; do echo "$odd" > "./$odd"; done
  ln filled hard; ln filled lib/hard; ln -s ../filled lib/link; ln -s /nowhere dangling
  mkfifo pipe; mknod device c 1 3; chown 12:34 pipe; chmod 4755 hard; echo > capable
  library=/setcap/loader\ --library-path\ /setcap
  $library /setcap/setfattr -n user.rekit -v attribute lib/sub/file; $library /setcap/setcap cap_net_raw+ep capable ;;
owned) chown -R 1000:1001 lib ;;
large) dd if=/dev/urandom of=blob bs=1M count=40 2>/dev/null; i=0; while [ $i -lt 300 ]; do echo $i > lib/sub/$i; i=$((i + 1)); done ;;
esac
"#;

/// Builds the project and returns, for each mount, what the build found in it.
fn found(machine: &Machine, builder: &str, round: u32, fill: bool) -> BTreeMap<String, String> {
    let round = format!("ROUND={round}");
    let fill = if fill { "FILL=yes" } else { "FILL=no" };
    let arguments = ["buildx", "build", "--builder", builder, "--progress=plain"];
    let more = ["--target=team", "--output=type=cacheonly", "--build-arg"];
    let rest = [&round, "--build-arg", fill, "mounts"];
    let log = machine
        .docker(&[&arguments[..], &more, &rest].concat())
        .good()
        .text();
    let mut found = BTreeMap::<String, String>::new();
    for line in log.lines() {
        if let Some((_, told)) = line.split_once(" FOUND ") {
            let (name, place) = told.split_once(' ').unwrap();
            let all = found.entry(name.to_owned()).or_default();
            all.extend([place, "\n"]);
        }
    }
    found
}

/// Writes the project with the ten cache mounts.
fn project(machine: &Machine) {
    let all = machine.lab.home().join("project");
    let folder = all.join("mounts");
    fs::create_dir_all(folder.join("setcap")).unwrap();
    for program in ["setfattr", "getfattr"] {
        let place = folder.join("setcap").join(program);
        fs::copy(format!("/usr/bin/{program}"), place).unwrap();
    }
    for entry in fs::read_dir(all.join("setcap")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join("setcap").join(entry.file_name())).unwrap();
    }
    fs::copy("/bin/busybox", folder.join("busybox")).unwrap();
    fs::write(folder.join("Dockerfile"), DOCKERFILE).unwrap();
    for (name, text) in [("tell", TELL), ("fill", FILL)] {
        fs::write(folder.join(name), text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.join(name), mode).unwrap();
    }
}

fn backed_up(machine: &Machine, builder: &str) -> String {
    let answer = machine.rekit(&["backup", "create", builder, "--yes"]);
    answer.good().stdout.lines().last().unwrap().to_owned()
}

/// Returns the ids of all cache mounts of a builder.
fn ids(machine: &Machine, builder: &str) -> Vec<String> {
    let filter = ["--verbose", "--filter", "type=exec.cachemount"];
    let answer = machine.docker(&[&["buildx", "du", "--builder", builder], &filter[..]].concat());
    let text = answer.good().stdout;
    let ids = text
        .lines()
        .filter(|line| line.starts_with("Description:"))
        .map(|line| match line.rsplit_once(" with id ") {
            Some((_, id)) => id.trim_matches('"').to_owned(),
            None => line
                .split(' ')
                .find(|word| word.starts_with('/'))
                .unwrap()
                .to_owned(),
        });
    let mut ids: Vec<_> = ids.collect();
    ids.sort();
    ids
}

fn records(machine: &Machine, builder: &str) -> usize {
    let answer = machine.docker(&["buildx", "du", "--builder", builder, "--verbose"]);
    answer.good().stdout.matches("Description:").count()
}

/// From a builder into a fresh one of containers: the project's build finds what it left.
fn there_and_found(machine: &Machine, from: &str, to: &str) {
    project(machine);
    let first = found(machine, from, 1, true);
    let before = found(machine, from, 2, false);
    assert_eq!(before, first, "the build is steady");
    assert_eq!(before.len(), 10, "{:?}", before.keys());
    assert!(before["large"].lines().count() > 300);
    for attribute in ["user.rekit=", "security.capability="] {
        assert!(before["odd"].contains(attribute), "{}", before["odd"]);
    }
    let (ids_before, records_before) = (ids(machine, from), records(machine, from));
    assert_eq!(ids_before.len(), 10, "{ids_before:?}");

    let plan = machine.rekit(&["backup", "create", from]).ends_with(2);
    plan.says("10 cache mounts")
        .says("layers and sources of builder");
    let archive = backed_up(machine, from);
    assert_eq!(ids(machine, from), ids_before, "no mount was made");
    assert_eq!(records(machine, from), records_before, "nothing was left");
    assert_eq!(
        found(machine, from, 3, false),
        before,
        "nothing was changed"
    );
    machine.rekit(&["backup", "verify", &archive]).good();
    machine
        .rekit(&["backup", "show", &archive])
        .good()
        .says("cache-mounts")
        .says("owned (uid=1000, gid=1001, mode=0750)");

    machine.docker(&["buildx", "create", "--name", to]).good();
    let restore = ["backup", "restore", &archive, "--builder", to, "--yes"];
    machine.rekit(&restore).good();
    let after = found(machine, to, 4, false);
    for (name, before) in &before {
        assert_eq!(after.get(name), Some(before), "{name}");
    }
    assert_eq!(after.len(), 10);
    assert_eq!(ids(machine, to), ids_before);
    // A second time: all are there already, and nothing is mixed.
    machine.rekit(&restore).good();
    assert_eq!(found(machine, to, 5, false), before);
}

#[test]
fn r1_3_2_ten_cache_mounts_of_the_embedded_builder_are_found_elsewhere() {
    let machine = Machine::small();
    there_and_found(&machine, "default", "fresh");
}

#[test]
fn what_cannot_be_kept_is_named_and_no_mount_is_mixed() {
    let machine = Machine::small();
    project(&machine);
    let folder = machine.lab.home().join("project/mounts");
    let lines: Vec<_> = DOCKERFILE.lines().take(4).collect();
    let start = lines.join("\n");
    let build = |builder: &str, runs: &str| {
        fs::write(folder.join("Dockerfile"), format!("{start}\n{runs}\n")).unwrap();
        let namespace = "BUILDKIT_CACHE_MOUNT_NS=ci";
        let arguments = ["buildx", "build", "--builder", builder, "--output"];
        let more = ["type=cacheonly", "--build-arg", namespace, "mounts"];
        machine.docker(&[&arguments[..], &more].concat()).good();
    };
    build(
        "default",
        "RUN --mount=type=cache,id=hidden,target=/x,uid=5 echo 1 > /x/file",
    );
    let known = "RUN --mount=type=cache,id=known,target=/x,mode=0700 echo 2 > /x/file";
    let unclear =
        "ARG TARGETARCH\nRUN --mount=type=cache,id=a-$TARGETARCH,target=/x echo 3 > /x/file";
    build("default", &format!("{known}\n{unclear}"));
    let before = ids(&machine, "default");
    assert_eq!(before.len(), 3, "{before:?}");
    // Lines are wrapped to the terminal.
    let words = |answer: &Answer| {
        let text = answer.text();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let plan = words(&machine.rekit(&["backup", "create", "default"]).ends_with(2));
    for told in [
        "cache mount hidden (namespace ci) is taken as a plain one",
        "Dockerfile:7: `$TARGETARCH` in `type=cache,id=a-$TARGETARCH,target=/x` is known only to the build",
    ] {
        assert!(plan.contains(told), "no `{told}` in {plan}");
    }
    let made = machine
        .rekit(&["backup", "create", "default", "--yes"])
        .ends_with(3);
    let archive = made.stdout.lines().last().unwrap().to_owned();
    let left = "cache mount hidden (namespace ci) of builder default: the daemon holds none";
    assert!(words(&made).contains(left), "{made}");
    assert_eq!(ids(&machine, "default"), before, "no twin is left");

    let create = ["buildx", "create", "--name", "full", "--bootstrap"];
    machine.docker(&create).good();
    build("full", &known.replace("echo 2", "echo other"));
    let others = ids(&machine, "full");
    let restore = ["backup", "restore", &archive, "--builder", "full", "--yes"];
    let refused = machine.rekit(&restore).ends_with(5);
    let refused = words(&refused);
    assert!(refused.contains("holds something already"), "{refused}");
    assert_eq!(
        ids(&machine, "full"),
        others,
        "what was added is gone again"
    );
    killed_import_is_known(&machine, &archive);
    let nowhere = ["backup", "restore", &archive, "--builder", "nobody"];
    machine.rekit(&nowhere).refused();
    machine
        .rekit(&["backup", "rehearse", &archive])
        .ends_with(2);
}

/// An import that is killed when all is there and nothing of it is journalled goes again, or is found to be there.
fn killed_import_is_known(machine: &Machine, archive: &str) {
    let create = ["buildx", "create", "--name", "fresh", "--bootstrap"];
    machine.docker(&create).good();
    let restore = ["backup", "restore", archive, "--builder", "fresh", "--yes"];
    for (end, left) in [("rollback", 0), ("resume", 2)] {
        let killed = machine.rekit_killed_at("1:effect", &restore);
        assert_eq!(killed.signal, Some(9), "{killed}");
        assert_eq!(ids(machine, "fresh").len(), 2, "{killed}");
        machine.rekit(&[end, "--yes"]).good();
        assert_eq!(ids(machine, "fresh").len(), left, "{end}");
    }
}

#[test]
fn r1_3_2_ten_cache_mounts_of_a_remote_builder_are_found_elsewhere() {
    let machine = Machine::small();
    let options = StandaloneOptions {
        address: Address::Unix,
        ..StandaloneOptions::default()
    };
    let daemon = machine.lab.standalone_buildkitd(&options).unwrap();
    machine.remote("far", daemon.address(), &[]);
    there_and_found(&machine, "far", "fresh");
}
