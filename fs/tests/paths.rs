//! Whole files, directories, and names.

mod common;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use common::{Folder, block_on, bytes, polls};
use heist_fs as fs;
use heist_sync::stream::StreamExt;

#[test]
fn whole_files() {
    let folder = Folder::new();
    block_on(async {
        // Around the sizes where a read is short, and where memory grows.
        for size in [0, 1, 4095, 4096, 8191, 8192, 8193, 70_000, 3_000_000] {
            let path = folder.path("whole");
            fs::write(&path, bytes(size)).await.unwrap();
            assert!(fs::read(&path).await.unwrap() == bytes(size), "{size}");
        }
        fs::write(folder.path("text"), "h\u{e9}llo").await.unwrap();
        let text = fs::read_to_string(folder.path("text")).await.unwrap();
        assert_eq!(text, "h\u{e9}llo");
        fs::write(folder.path("text"), b"h\xffllo").await.unwrap();
        let error = fs::read_to_string(folder.path("text")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.to_string().contains("from byte 1 on"), "{error}");
        for what in [folder.path("none"), folder.path("none/none")] {
            assert_eq!(
                fs::read(&what).await.unwrap_err().kind(),
                ErrorKind::NotFound
            );
        }
        assert_eq!(
            fs::read(folder.root()).await.unwrap_err().kind(),
            ErrorKind::IsADirectory
        );
        // Nothing that has a size.
        assert!(
            fs::read_to_string("/proc/self/mounts")
                .await
                .unwrap()
                .contains("/proc")
        );
        let path = folder.path("copied");
        assert_eq!(
            fs::copy(folder.path("whole"), &path).await.unwrap(),
            3_000_000
        );
        assert!(fs::read(path).await.unwrap() == bytes(3_000_000));
    });
}

/// A file that grows while it is read is read to its end. Control, tried: an end after the first read.
#[test]
fn a_file_that_is_longer_than_it_says() {
    block_on(async {
        // A page, says sysfs, and has a few bytes; and none, says procfs, of many.
        for path in [
            "/sys/kernel/mm/transparent_hugepage/enabled",
            "/proc/kallsyms",
        ] {
            let Ok(expected) = std::fs::read(path) else {
                eprintln!("skipped: {path} cannot be read here");
                continue;
            };
            assert_eq!(
                fs::read(path).await.unwrap().len(),
                expected.len(),
                "{path}"
            );
        }
    });
}

#[test]
fn names_and_what_is_at_them() {
    let folder = Folder::new();
    let one = folder.file("one", b"1");
    block_on(async {
        let two = folder.path("two");
        fs::rename(&one, &two).await.unwrap();
        assert!(!fs::try_exists(&one).await.unwrap() && fs::try_exists(&two).await.unwrap());
        fs::hard_link(&two, &one).await.unwrap();
        assert_eq!(fs::metadata(&two).await.unwrap().nlink(), 2);
        let link = folder.path("link");
        fs::symlink("two", &link).await.unwrap();
        assert_eq!(fs::read_link(&link).await.unwrap().to_str(), Some("two"));
        assert!(fs::symlink_metadata(&link).await.unwrap().is_symlink());
        assert_eq!(fs::metadata(&link).await.unwrap().len(), 1);
        let real = fs::canonicalize(&link).await.unwrap();
        assert_eq!(real, std::fs::canonicalize(&two).unwrap());
        fs::set_permissions(&two, std::fs::Permissions::from_mode(0o400))
            .await
            .unwrap();
        assert_eq!(fs::metadata(&one).await.unwrap().mode() & 0o777, 0o400);
        fs::remove_file(&two).await.unwrap();
        assert_eq!(
            fs::metadata(&link).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert!(!fs::try_exists(&link).await.unwrap());
        assert_eq!(
            fs::read_link(&one).await.unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    });
}

#[test]
fn directories_are_made_and_removed() {
    let folder = Folder::new();
    block_on(async {
        let (a, deep) = (folder.path("a"), folder.path("a/b/c"));
        assert_eq!(
            fs::create_dir(&deep).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        fs::create_dir(&a).await.unwrap();
        assert_eq!(
            fs::create_dir(&a).await.unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        fs::create_dir_all(&deep).await.unwrap();
        fs::create_dir_all(&deep).await.unwrap();
        assert_eq!(
            fs::remove_dir(&a).await.unwrap_err().kind(),
            ErrorKind::DirectoryNotEmpty
        );
        fs::remove_dir(&deep).await.unwrap();
        fs::write(folder.path("a/b/file"), b"").await.unwrap();
        fs::remove_dir_all(&a).await.unwrap();
        assert!(!fs::try_exists(&a).await.unwrap());
        let mut builder = fs::DirBuilder::new();
        let (x, y) = (folder.path("x"), folder.path("x/y"));
        assert!(builder.create(&y).await.is_err());
        builder
            .recursive(true)
            .mode(0o700)
            .create(&y)
            .await
            .unwrap();
        assert_eq!(fs::metadata(&x).await.unwrap().mode() & 0o777, 0o700);
    });
}

/// More entries than are read at a time, one after the other and as a stream, with calls that are dropped. Control,
/// tried: with a `ReadDir` whose thread is forgotten by a dropped call it waits for ever.
#[test]
fn every_entry_comes_once() {
    let folder = Folder::new();
    let names: BTreeSet<OsString> = (0..1000).map(|i| format!("{i}").into()).collect();
    for name in &names {
        std::fs::write(folder.root().join(name), b"").unwrap();
    }
    block_on(async {
        let mut entries = fs::read_dir(folder.root()).await.unwrap();
        let (mut found, mut dropped) = (BTreeSet::new(), 0);
        loop {
            let Some(entry) = polls(1, entries.next_entry()).await else {
                dropped += 1;
                heist_runtime::yield_now().await;
                continue;
            };
            let Some(entry) = entry.unwrap() else {
                break;
            };
            assert!(found.insert(entry.file_name()));
            assert_eq!(entry.path(), folder.root().join(entry.file_name()));
        }
        assert!(found == names, "{} and {dropped} dropped", found.len());
        let entries = fs::read_dir(folder.root()).await.unwrap();
        let all: Vec<_> = entries.collect().await;
        assert_eq!(all.len(), 1000);
        assert!(all.iter().all(|entry| entry.as_ref().unwrap().ino() > 0));
    });
}

#[test]
fn entries_say_what_they_are() {
    let folder = Folder::new();
    folder.file("file", b"123");
    std::fs::create_dir(folder.path("dir")).unwrap();
    std::os::unix::fs::symlink("file", folder.path("link")).unwrap();
    block_on(async {
        let mut entries = fs::read_dir(folder.root()).await.unwrap();
        let mut seen = 0;
        while let Some(entry) = entries.next_entry().await.unwrap() {
            let kind = entry.file_type().await.unwrap();
            let metadata = entry.metadata().await.unwrap();
            assert_eq!(metadata.file_type(), kind);
            match entry.file_name().to_str().unwrap() {
                "file" => assert!(kind.is_file() && metadata.len() == 3),
                "dir" => assert!(kind.is_dir()),
                "link" => assert!(kind.is_symlink()),
                other => panic!("{other}"),
            }
            seen += 1;
        }
        assert_eq!(seen, 3);
        let none = fs::read_dir(folder.path("none")).await.unwrap_err();
        assert_eq!(none.kind(), ErrorKind::NotFound);
    });
}
