//! The results of all functions. None accepts a pointer that leads out of memory.

use std::fmt::Write as _;

use guest_host::admission::{ContractError, wasi_imports};
use guest_host::{AdmissionError, Cause, Guest, InvalidData, LoadError};
use guest_prepare::module_info::ValueType;

use super::{MEMORY, called, guest, instance, load, traced};
use test_support::text_guests;

const SUCCESS: i64 = 0;
const BADF: i64 = 8;
const INVAL: i64 = 28;
const NOSYS: i64 = 52;
const NOTSOCK: i64 = 57;
const NOTSUP: i64 = 58;
const SPIPE: i64 = 70;
const NOTCAPABLE: i64 = 76;

/// Every function but `proc_exit` with arguments and what it returns for them.
const CALLS: &[(&str, &[i64], i64)] = &[
    ("args_get", &[64, 128], SUCCESS),
    ("args_sizes_get", &[64, 128], SUCCESS),
    ("environ_get", &[64, 128], SUCCESS),
    ("environ_sizes_get", &[64, 128], SUCCESS),
    ("clock_res_get", &[0, 64], SUCCESS),
    ("clock_res_get", &[1, 64], SUCCESS),
    ("clock_res_get", &[2, 64], INVAL),
    ("clock_time_get", &[0, 0, 64], SUCCESS),
    ("clock_time_get", &[1, 0, 64], SUCCESS),
    ("clock_time_get", &[2, 0, 64], INVAL),
    ("clock_time_get", &[3, 0, 64], INVAL),
    ("fd_advise", &[1, 0, 0, 0], SPIPE),
    ("fd_advise", &[3, 0, 0, 0], BADF),
    ("fd_allocate", &[1, 0, 0], SPIPE),
    ("fd_allocate", &[3, 0, 0], BADF),
    ("fd_close", &[2], SUCCESS),
    ("fd_close", &[3], BADF),
    ("fd_datasync", &[1], INVAL),
    ("fd_datasync", &[3], BADF),
    ("fd_fdstat_get", &[0, 64], SUCCESS),
    ("fd_fdstat_get", &[3, 64], BADF),
    ("fd_fdstat_set_flags", &[1, 4], SUCCESS),
    ("fd_fdstat_set_flags", &[1, 32], INVAL),
    ("fd_fdstat_set_flags", &[1, 0x1_0000], INVAL),
    ("fd_fdstat_set_flags", &[3, 0], BADF),
    ("fd_fdstat_set_rights", &[1, 0, 0], NOTCAPABLE),
    ("fd_fdstat_set_rights", &[3, 0, 0], BADF),
    ("fd_filestat_get", &[2, 64], SUCCESS),
    ("fd_filestat_get", &[3, 64], BADF),
    ("fd_filestat_set_size", &[1, 0], INVAL),
    ("fd_filestat_set_size", &[3, 0], BADF),
    ("fd_filestat_set_times", &[1, 0, 0, 0], NOTCAPABLE),
    ("fd_filestat_set_times", &[3, 0, 0, 0], BADF),
    ("fd_pread", &[0, 64, 0, 0, 128], SPIPE),
    ("fd_pread", &[3, 64, 0, 0, 128], BADF),
    ("fd_prestat_dir_name", &[3, 64, 8], BADF),
    ("fd_prestat_get", &[0, 64], BADF),
    ("fd_prestat_get", &[3, 64], BADF),
    ("fd_pwrite", &[1, 64, 0, 0, 128], SPIPE),
    ("fd_pwrite", &[3, 64, 0, 0, 128], BADF),
    ("fd_read", &[0, 64, 1, 128], SUCCESS),
    ("fd_read", &[1, 64, 1, 128], BADF),
    ("fd_read", &[3, 64, 1, 128], BADF),
    ("fd_read", &[0, 64, 1025, 128], INVAL),
    ("fd_readdir", &[3, 64, 8, 0, 128], BADF),
    ("fd_readdir", &[0, 64, 8, 0, 128], NOTCAPABLE),
    ("fd_renumber", &[1, 2], NOTSUP),
    ("fd_renumber", &[3, 1], BADF),
    ("fd_seek", &[1, 0, 0, 64], SPIPE),
    ("fd_seek", &[3, 0, 0, 64], BADF),
    ("fd_sync", &[1], INVAL),
    ("fd_sync", &[3], BADF),
    ("fd_tell", &[1, 64], SPIPE),
    ("fd_tell", &[3, 64], BADF),
    ("fd_write", &[1, 64, 1, 128], SUCCESS),
    ("fd_write", &[2, 64, 1024, 16384], SUCCESS),
    ("fd_write", &[2, 64, 1025, 16384], INVAL),
    ("fd_write", &[0, 64, 1, 128], BADF),
    ("fd_write", &[3, 64, 1, 128], BADF),
    ("path_create_directory", &[3, 64, 1], BADF),
    ("path_filestat_get", &[3, 0, 64, 1, 128], BADF),
    ("path_filestat_set_times", &[3, 0, 64, 1, 0, 0, 0], BADF),
    ("path_link", &[3, 0, 64, 1, 3, 64, 1], BADF),
    ("path_open", &[3, 0, 64, 1, 0, 0, 0, 0, 128], BADF),
    ("path_open", &[0, 0, 64, 1, 0, 0, 0, 0, 128], NOTCAPABLE),
    ("path_readlink", &[3, 64, 1, 128, 8, 256], BADF),
    ("path_remove_directory", &[3, 64, 1], BADF),
    ("path_rename", &[3, 64, 1, 3, 64, 1], BADF),
    ("path_symlink", &[64, 1, 3, 64, 1], NOTCAPABLE),
    ("path_unlink_file", &[3, 64, 1], BADF),
    ("poll_oneoff", &[64, 256, 1, 512], SUCCESS),
    ("poll_oneoff", &[64, 256, 0, 512], INVAL),
    ("poll_oneoff", &[64, 256, 1025, 512], INVAL),
    ("proc_raise", &[6], NOSYS),
    ("random_get", &[64, 100], SUCCESS),
    ("random_get", &[64, 0], SUCCESS),
    ("sched_yield", &[], SUCCESS),
    ("sock_accept", &[0, 0, 64], NOTSOCK),
    ("sock_accept", &[3, 0, 64], BADF),
    ("sock_recv", &[3, 64, 1, 0, 128, 136], BADF),
    ("sock_send", &[3, 64, 1, 0, 128], BADF),
    ("sock_shutdown", &[3, 0], BADF),
];

/// Calls whose pointer leads out of memory, and what they name it.
#[rustfmt::skip]
const WILD: &[(&str, &[i64], &str)] = &[
    ("args_get", &[64, END + 1], "room for strings"),
    ("args_sizes_get", &[END - 3, 64], "room for a count of strings"),
    ("args_sizes_get", &[64, END - 3], "room for a count of bytes"),
    ("environ_get", &[64, END + 1], "room for strings"),
    ("environ_sizes_get", &[-1, 64], "room for a count of strings"),
    ("environ_sizes_get", &[64, -4], "room for a count of bytes"),
    ("clock_res_get", &[0, END - 7], "room for a clock's resolution"),
    ("clock_time_get", &[0, 0, END - 7], "room for a time"),
    ("clock_time_get", &[0, 0, -1], "room for a time"),
    ("fd_fdstat_get", &[0, END - 23], "room for a descriptor's status"),
    ("fd_filestat_get", &[0, END - 63], "room for a file's status"),
    ("fd_read", &[0, END - 7, 1, 64], "list of ranges"),
    ("fd_read", &[0, 64, 1, END - 3], "room for a count of bytes"),
    ("fd_read", &[0, 32, 1, 128], "room for input"),
    ("fd_write", &[1, END - 7, 1, 64], "list of ranges"),
    ("fd_write", &[1, -8, 1024, 64], "list of ranges"),
    ("fd_write", &[1, 64, 1, END - 3], "room for a count of bytes"),
    ("fd_write", &[1, 32, 1, 128], "output"),
    ("fd_write", &[1, 40, 1, 128], "output"),
    ("poll_oneoff", &[END - 47, 64, 1, 512], "list of subscriptions"),
    ("poll_oneoff", &[64, END - 31, 1, 512], "room for events"),
    ("poll_oneoff", &[64, 256, 1, END - 3], "room for a count of events"),
    ("random_get", &[END - 7, 8], "room for random bytes"),
    ("random_get", &[64, -1], "room for random bytes"),
];

#[expect(clippy::cast_possible_wrap, reason = "it is a constant of 17 bits")]
const END: i64 = MEMORY as i64;

/// A guest with a function `fN` for each call. At 32 and 40 there are ranges that lead out of memory.
fn calling(calls: impl Iterator<Item = (&'static str, &'static [i64])> + Clone) -> Guest {
    let offered = wasi_imports();
    let mut names: Vec<&str> = calls.clone().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let mut body = r#"(data (i32.const 32) "\fd\ff\01\00\04\00\00\00\01\00\00\00\ff\ff\ff\ff")"#.to_owned();
    for (index, (name, arguments)) in calls.enumerate() {
        let known = offered.iter().find(|known| known.name == name).expect("it is a function of WASI");
        assert_eq!(known.signature.params.len(), arguments.len(), "{name}");
        write!(body, r#"(func (export "f{index}") (result i64) (drop (call ${name}"#).unwrap();
        for (ty, argument) in known.signature.params.iter().zip(arguments) {
            write!(body, " ({ty}.const {argument})").unwrap();
        }
        body.push_str(")) i64.const 0)");
    }
    guest(&names, &body)
}

#[test]
fn every_function_returns_what_it_must() {
    let guest = calling(CALLS.iter().map(|(name, arguments, _)| (*name, *arguments)));
    let mut instance = instance(&guest, &traced());
    for (index, (name, arguments, errno)) in CALLS.iter().enumerate() {
        let calls = called(&mut instance, &format!("f{index}"));
        let [(of, found, _)] = calls.as_slice() else { panic!("{name}: {calls:?}") };
        assert_eq!((of, found), (name, errno), "{name} {arguments:?}");
        assert_eq!(instance.last_stats().crossings, 1, "{name}");
    }
    let tested = |name: &str| name == "proc_exit" || CALLS.iter().any(|(tested, ..)| *tested == name);
    assert!(wasi_imports().iter().all(|known| tested(&known.name)));
}

#[test]
fn a_pointer_out_of_memory_ends_the_call() {
    let guest = calling(WILD.iter().map(|(name, arguments, _)| (*name, *arguments)));
    let mut config = traced();
    // Where there are no strings their room has no bytes, and may be anywhere.
    config.wasi.arguments = vec!["guest".to_owned()];
    config.wasi.environment = vec![("NAME".to_owned(), "value".to_owned())];
    let mut instance = instance(&guest, &config);
    for (index, (name, arguments, named)) in WILD.iter().enumerate() {
        let failure = instance.invoke_by_name(&format!("f{index}")).expect_err("its pointer is wild");
        let Cause::InvalidGuestData(InvalidData::OutOfBounds { what, memory, .. }) = failure.cause else {
            panic!("{name}: {failure}");
        };
        assert_eq!((what, memory), (*named, MEMORY as u64), "{name} {arguments:?}");
        assert!(instance.is_pristine());
    }
}

#[test]
fn more_random_bytes_than_are_given_at_once_are_refused() {
    let body = r#"(func (export "ask") (result i64)
        (drop (memory.grow (i32.const 32)))
        (drop (call $random_get (i32.const 0) (i32.const 0x100000)))
        (drop (call $random_get (i32.const 0) (i32.const 0x100001))) i64.const 0)"#;
    let mut instance = instance(&guest(&["random_get"], body), &traced());
    assert_eq!(super::errnos(&mut instance, "ask"), [SUCCESS, INVAL]);
}

#[test]
fn what_wasi_does_not_have_is_refused_when_it_is_loaded() {
    let refused = |name: &str, ty: &str| {
        let import = format!(r#"(import "wasi_snapshot_preview1" "{name}" (func {ty}))"#);
        match load(&text_guests::guest(&import, "")) {
            Err(LoadError::Admission(AdmissionError::Contract(errors))) => errors,
            other => panic!("{other:?}"),
        }
    };
    let errors = refused("fd_wirte", "(param i32 i32 i32 i32) (result i32)");
    assert!(errors[0].to_string().contains("did you mean `wasi_snapshot_preview1.fd_write`?"), "{}", errors[0]);
    let errors = refused("fd_write", "(param i32 i32 i32) (result i32)");
    let [ContractError::ImportType { expected, .. }] = errors.as_slice() else { panic!("{errors:?}") };
    assert_eq!((expected.params.len(), &expected.results), (4, &vec![ValueType::I32]));
    assert!(matches!(refused("proc_exit", "(param i32) (result i32)")[0], ContractError::ImportType { .. }));
}
