//! Archives leave in one file and come back: to stock tools, to another home, and never by a hostile file.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the tests look at what lies on the disk"
)]
#![expect(
    clippy::unwrap_used,
    reason = "the helpers belong to the tests, where a failure is a failed test"
)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use rekit_archive::{
    Archive, ArchiveWriter, Consistency, ExportError, ImportError, Imported, MemoryFile,
    MetadataOfArchive, TreePath, export, import, open, verify,
};
use tempfile::{TempDir, tempdir};

/// Makes an archive with two trees and a further file.
fn archive(home: &Path, id: &str, text: &str) -> Archive {
    let file = |name: &str, bytes: Vec<u8>| MemoryFile {
        path: TreePath::parse(name.as_bytes()).unwrap(),
        mode: 0o640,
        owner: (0, 0),
        bytes,
    };
    let mut writer = ArchiveWriter::create(home, id).unwrap();
    let files = [file("a", text.into()), file("d/b", vec![7; 3000])];
    writer.add_memory_tree("first", &files).unwrap();
    writer.add_memory_tree("second", &files[..1]).unwrap();
    writer.add_file("notes.txt", b"notes\n").unwrap();
    let metadata = MetadataOfArchive {
        consistency: Consistency::CleanStop,
        metadata: serde_json::Value::Null,
    };
    open(&writer.finish(metadata).unwrap().path).unwrap()
}

fn exported(archives: &[Archive]) -> Vec<u8> {
    let mut file = Vec::new();
    export(archives, &mut file, &mut |_| {}).unwrap();
    file
}

fn imported(home: &Path, mut file: &[u8]) -> Result<Vec<Imported>, ImportError> {
    import(home, &mut file, &mut |_| {})
}

/// Returns the names of all files below a folder.
fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found.sort();
    found
}

/// Imports what must be refused, and fails if anything of it is left, inside or beside the home.
#[track_caller]
fn refused(file: &[u8]) -> ImportError {
    let around = tempdir().unwrap();
    let error = imported(&around.path().join("home/archives"), file).unwrap_err();
    assert_eq!(files(around.path()), [""; 0], "{error}");
    let home = fs::read_dir(around.path().join("home/archives"));
    let left = home.into_iter().flatten().map(|it| it.unwrap().file_name());
    assert!(left.into_iter().all(|name| name == "pool"), "{error}");
    error
}

#[test]
fn what_comes_back_is_the_same_archive_and_shares_what_is_known() {
    let (here, there) = (tempdir().unwrap(), tempdir().unwrap());
    let both = [
        archive(here.path(), "one", "shared"),
        archive(here.path(), "two", "shared"),
    ];
    let file = exported(&both);
    let arrived = imported(there.path(), &file).unwrap();
    assert_eq!(arrived.len(), 2);
    for (arrived, archive) in arrived.iter().zip(&both) {
        assert!(!arrived.was_there);
        assert_eq!(arrived.identity, archive.identity());
        let archive = open(&arrived.path).unwrap();
        verify(&archive, &mut |_| {}).unwrap();
    }
    let again: Vec<_> = arrived.iter().map(|it| open(&it.path).unwrap()).collect();
    assert!(
        exported(&again) == file,
        "an export of the import is the same file"
    );
    let is_shared = |path: &String| fs::metadata(path).unwrap().nlink() > 2;
    let pool = files(&there.path().join("pool"));
    assert!(!pool.is_empty() && pool.iter().all(is_shared), "{pool:?}");
    for path in files(there.path()) {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
}

#[test]
fn an_archive_that_is_there_stays_and_another_of_its_name_is_refused() {
    let (here, there) = (tempdir().unwrap(), tempdir().unwrap());
    let file = exported(&[archive(here.path(), "one", "this")]);
    imported(there.path(), &file).unwrap();
    let before = files(there.path());
    assert!(imported(there.path(), &file).unwrap()[0].was_there);
    let cut = imported(there.path(), &file[..file.len() - 600]);
    assert!(matches!(cut, Err(ImportError::CutOff)), "{cut:?}");
    let elsewhere = tempdir().unwrap();
    let other = exported(&[archive(elsewhere.path(), "one", "that")]);
    let error = imported(there.path(), &other).unwrap_err();
    assert!(matches!(error, ImportError::Other(_)), "{error}");
    assert_eq!(files(there.path()), before);
    fs::remove_file(there.path().join("one/SHA256SUMS")).unwrap();
    let error = imported(there.path(), &file).unwrap_err();
    assert!(matches!(error, ImportError::Broken { .. }), "{error}");
}

#[test]
fn what_a_killed_import_left_gives_way() {
    let (here, there) = (tempdir().unwrap(), tempdir().unwrap());
    let file = exported(&[archive(here.path(), "one", "this")]);
    fs::create_dir_all(there.path().join("one.partial/trees/first")).unwrap();
    fs::write(there.path().join("one.partial/manifest.json"), "{").unwrap();
    let arrived = imported(there.path(), &file).unwrap();
    verify(&open(&arrived[0].path).unwrap(), &mut |_| {}).unwrap();
    assert!(!there.path().join("one.partial").exists());
}

#[test]
fn stock_tools_restore_what_was_exported() {
    let (here, there) = (tempdir().unwrap(), tempdir().unwrap());
    let file = exported(&[archive(here.path(), "one", "by hand")]);
    let mut tar = Command::new("tar")
        .args(["-xf", "-", "-C"])
        .arg(there.path())
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    tar.stdin.take().unwrap().write_all(&file).unwrap();
    assert!(tar.wait().unwrap().success());
    let folder = there.path().join("one");
    let text = fs::read_to_string(folder.join("RESTORE.md")).unwrap();
    let target = TempDir::new_in(there.path()).unwrap();
    for command in text.split("```sh\n").skip(1).take(2) {
        let command = command.split("```").next().unwrap();
        let status = Command::new("sh")
            .args(["-ec", command])
            .current_dir(&folder)
            .env("TARGET", target.path())
            .status();
        assert!(status.unwrap().success(), "{command}");
    }
    let restored = fs::read_to_string(target.path().join("a")).unwrap();
    assert_eq!(restored, "by hand");
}

#[test]
fn a_damaged_archive_is_not_exported_whole() {
    let home = tempdir().unwrap();
    for name in ["RESTORE.md", "notes.txt", "segment", "list", "sums"] {
        let archive = archive(home.path(), &format!("of-{name}"), name);
        let path = match name {
            "segment" => files(&archive.path().join("trees/first"))[0].clone(),
            "list" => format!("{}/trees/first/files.jsonl.zst", archive.path().display()),
            "sums" => format!("{}/SHA256SUMS", archive.path().display()),
            name => format!("{}/{name}", archive.path().display()),
        };
        let mut bytes = fs::read(&path).unwrap();
        bytes[5] ^= 1;
        fs::write(&path, bytes).unwrap();
        let mut file = Vec::new();
        let error = export(std::slice::from_ref(&archive), &mut file, &mut |_| {}).unwrap_err();
        assert!(matches!(error, ExportError::Damaged(_)), "{name}: {error}");
        // Whatever was written until then is nothing that an import takes.
        refused(&file);
    }
}

/// Builds an exported file by hand, of whatever a hostile one may hold.
struct Forger(tar::Builder<Vec<u8>>);

impl Forger {
    fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn add(mut self, name: &str, kind: tar::EntryType, link: &str, bytes: &[u8]) -> Self {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o600);
        header.set_size(bytes.len() as u64);
        let ustar = header.as_ustar_mut().unwrap();
        ustar.name[..name.len()].copy_from_slice(name.as_bytes());
        ustar.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        self.0.append(&header, bytes).unwrap();
        self
    }

    fn end(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// Takes an exported file apart and puts it together again, each member changed by `change`: none, one or several come of it.
fn forged(change: impl Fn(&str, &[u8]) -> Vec<(String, tar::EntryType, Vec<u8>)>) -> Vec<u8> {
    let home = tempdir().unwrap();
    let file = exported(&[archive(home.path(), "one", "text")]);
    let mut forger = Forger::new();
    for entry in tar::Archive::new(&file[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        for (name, kind, bytes) in change(&name, &bytes) {
            forger = forger.add(&name, kind, "", &bytes);
        }
    }
    forger.end()
}

fn kept(name: &str, bytes: &[u8]) -> (String, tar::EntryType, Vec<u8>) {
    let kind = if name.ends_with('/') {
        tar::EntryType::Directory
    } else {
        tar::EntryType::Regular
    };
    (name.to_owned(), kind, bytes.to_vec())
}

#[test]
fn hostile_members_are_refused() {
    let whole = forged(|name, bytes| vec![kept(name, bytes)]);
    imported(tempdir().unwrap().path(), &whole).unwrap();
    let notes = "./one/notes.txt";
    for bad in [
        "./../notes.txt",
        "/etc/notes.txt",
        "./one/../../notes.txt",
        "./one/other.txt",
        "./two/notes.txt",
        "./one/trees/first/notes.txt",
        "./one/./notes.txt",
        "./one//notes.txt",
    ] {
        refused(&forged(|name, bytes| {
            vec![kept(if name == notes { bad } else { name }, bytes)]
        }));
    }
    let twice = forged(|name, bytes| vec![kept(name, bytes); 1 + usize::from(name == notes)]);
    refused(&twice);
    let missing = forged(|name, bytes| match name {
        "./one/notes.txt" => Vec::new(),
        _ => vec![kept(name, bytes)],
    });
    refused(&missing);
    let long = forged(|name, bytes| match name {
        "./one/notes.txt" => vec![kept(name, b"much too long")],
        _ => vec![kept(name, bytes)],
    });
    assert!(matches!(refused(&long), ImportError::Length(_)));
    let other = forged(|name, bytes| match name {
        "./one/notes.txt" => vec![kept(name, b"Notes\n")],
        _ => vec![kept(name, bytes)],
    });
    assert!(matches!(refused(&other), ImportError::Damaged(_)));
    for kind in [
        tar::EntryType::Symlink,
        tar::EntryType::Link,
        tar::EntryType::Char,
        tar::EntryType::Fifo,
        tar::EntryType::Directory,
        tar::EntryType::GNULongName,
    ] {
        refused(&forged(|name, bytes| match name {
            "./one/notes.txt" => vec![(name.to_owned(), kind, Vec::new())],
            _ => vec![kept(name, bytes)],
        }));
    }
}

#[test]
fn names_that_are_not_of_archives_are_refused() {
    for id in ["pool", "one.partial", ".one", "other", "-x"] {
        let renamed =
            forged(|name, bytes| vec![kept(&name.replace("./one", &format!("./{id}")), bytes)]);
        assert!(matches!(refused(&renamed), ImportError::Name(_)), "{id}");
    }
    // A link first, then something through it: the oldest trick.
    let link = Forger::new()
        .add("./one", tar::EntryType::Symlink, "/tmp", b"")
        .add("./one/manifest.json", tar::EntryType::Regular, "", b"{}");
    refused(&link.end());
}

#[test]
fn rubbish_before_after_and_instead_is_refused() {
    let home = tempdir().unwrap();
    let one = exported(&[archive(home.path(), "one", "text")]);
    assert!(matches!(refused(b""), ImportError::CutOff));
    assert!(matches!(refused(&[0; 1024]), ImportError::Empty));
    refused(b"not a tar file at all");
    refused(&[&one[..], b"x"].concat());
    refused(&[&one[..], &one[..]].concat());
    let members = &one[..one.len() - 1024];
    assert!(
        matches!(refused(members), ImportError::CutOff),
        "no end mark"
    );
    let twice = [members, members, &[0; 1024]].concat();
    assert!(matches!(refused(&twice), ImportError::Name(_)));
    // A second archive that is damaged takes the first with it.
    let two = exported(&[archive(home.path(), "two", "text")]);
    refused(&[members, &two[..two.len() - 3000], &[0; 1024]].concat());
}

#[test]
fn sums_that_do_not_match_are_found_when_all_is_there() {
    let error = refused(&forged(|name, bytes| match name {
        "./one/RESTORE.md" => vec![kept(name, b"rm -rf /\n")],
        _ => vec![kept(name, bytes)],
    }));
    assert!(matches!(error, ImportError::Verify { .. }), "{error}");
    refused(&forged(|name, bytes| match name {
        "./one/SHA256SUMS" => vec![kept(name, b"")],
        _ => vec![kept(name, bytes)],
    }));
}

#[test]
fn what_cannot_fit_is_refused_before_it_is_written() {
    let huge = forged(|name, bytes| {
        let text = String::from_utf8_lossy(bytes);
        match name {
            "./one/manifest.json" => {
                let swollen = text.replace("\"bytes\": 6\n", "\"bytes\": 4611686018427387904\n");
                assert_ne!(swollen, text);
                vec![kept(name, swollen.as_bytes())]
            }
            _ => vec![kept(name, bytes)],
        }
    });
    assert!(matches!(refused(&huge), ImportError::NoRoom { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_cut_passes_and_no_flip_changes_a_byte_of_what_comes(place in any::<prop::sample::Index>(), bit in 0..8_u32, cut in any::<bool>()) {
        let home = tempdir().unwrap();
        let one = archive(home.path(), "one", "text");
        let mut file = exported(std::slice::from_ref(&one));
        let place = place.index(file.len());
        if cut {
            file.truncate(place);
            refused(&file);
            return Ok(());
        }
        file[place] ^= 1 << bit;
        let there = tempdir().unwrap();
        // A header's checksum can be written in more than one way.
        match imported(there.path(), &file) {
            Err(_) => drop(refused(&file)),
            Ok(arrived) => prop_assert_eq!(arrived[0].identity, one.identity()),
        }
    }
}

/// A reader that fails in the middle, as a pipe from a machine that goes away does.
struct Breaking<'a>(&'a [u8]);

impl Read for Breaking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(std::io::ErrorKind::ConnectionReset.into()),
            count => Ok(count),
        }
    }
}

#[test]
fn a_reader_that_breaks_leaves_nothing() {
    let home = tempdir().unwrap();
    let file = exported(&[archive(home.path(), "one", "text")]);
    let there = tempdir().unwrap();
    let broken = import(there.path(), &mut Breaking(&file[..8000]), &mut |_| {});
    assert!(matches!(broken, Err(ImportError::Stream(_))), "{broken:?}");
    assert_eq!(files(there.path()), [""; 0]);
    let mut full = File::options().write(true).open("/dev/full").unwrap();
    let one = open(&home.path().join("one")).unwrap();
    let unwritten = export(&[one], &mut full, &mut |_| {});
    assert!(
        matches!(unwritten, Err(ExportError::Write(_))),
        "{unwritten:?}"
    );
}
