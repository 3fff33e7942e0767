//! All functions of WASI preview 1 with their types, and what those that are denied return.

use Int::{I32, I64};

use super::errno::Errno;
use guest_prepare::module_info::ValueType;

/// A function of WASI preview 1. All but `proc_exit` return an errno.
#[derive(Debug)]
pub(crate) struct WasiFunction {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Int],
    /// Its result, if it does nothing else.
    pub(crate) denied: Option<Denial>,
}

/// The types of arguments and results that these functions have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Int {
    I32,
    I64,
}

impl From<Int> for ValueType {
    fn from(int: Int) -> Self {
        match int {
            I32 => Self::I32,
            I64 => Self::I64,
        }
    }
}

impl From<Int> for wasmtime::ValType {
    fn from(int: Int) -> Self {
        match int {
            I32 => Self::I32,
            I64 => Self::I64,
        }
    }
}

/// The result of a function whose object does not exist.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Denial {
    /// Its first argument is a descriptor: that it is not open, or this where it is.
    OfDescriptor(Errno),
    Always(Errno),
}

impl WasiFunction {
    /// An errno, but for the function that does not return.
    pub(crate) fn results(&self) -> &'static [Int] {
        if self.name == PROC_EXIT { &[] } else { &[I32] }
    }
}

const fn offered(name: &'static str, params: &'static [Int]) -> WasiFunction {
    WasiFunction { name, params, denied: None }
}

const fn of_descriptor(name: &'static str, params: &'static [Int], errno: Errno) -> WasiFunction {
    WasiFunction { name, params, denied: Some(Denial::OfDescriptor(errno)) }
}

const fn never(name: &'static str, params: &'static [Int], errno: Errno) -> WasiFunction {
    WasiFunction { name, params, denied: Some(Denial::Always(errno)) }
}

/// The only function without a result.
pub(crate) const PROC_EXIT: &str = "proc_exit";

pub(crate) static FUNCTIONS: [WasiFunction; 46] = [
    offered("args_get", &[I32; 2]),
    offered("args_sizes_get", &[I32; 2]),
    offered("environ_get", &[I32; 2]),
    offered("environ_sizes_get", &[I32; 2]),
    offered("clock_res_get", &[I32; 2]),
    offered("clock_time_get", &[I32, I64, I32]),
    of_descriptor("fd_advise", &[I32, I64, I64, I32], Errno::SPIPE),
    of_descriptor("fd_allocate", &[I32, I64, I64], Errno::SPIPE),
    offered("fd_close", &[I32]),
    of_descriptor("fd_datasync", &[I32], Errno::INVAL),
    offered("fd_fdstat_get", &[I32; 2]),
    offered("fd_fdstat_set_flags", &[I32; 2]),
    of_descriptor("fd_fdstat_set_rights", &[I32, I64, I64], Errno::NOTCAPABLE),
    offered("fd_filestat_get", &[I32; 2]),
    of_descriptor("fd_filestat_set_size", &[I32, I64], Errno::INVAL),
    of_descriptor("fd_filestat_set_times", &[I32, I64, I64, I32], Errno::NOTCAPABLE),
    of_descriptor("fd_pread", &[I32, I32, I32, I64, I32], Errno::SPIPE),
    // Also of those that are open: none is a folder that was opened beforehand, and libraries take this for their end.
    never("fd_prestat_dir_name", &[I32; 3], Errno::BADF),
    never("fd_prestat_get", &[I32; 2], Errno::BADF),
    of_descriptor("fd_pwrite", &[I32, I32, I32, I64, I32], Errno::SPIPE),
    offered("fd_read", &[I32; 4]),
    of_descriptor("fd_readdir", &[I32, I32, I32, I64, I32], Errno::NOTCAPABLE),
    of_descriptor("fd_renumber", &[I32; 2], Errno::NOTSUP),
    of_descriptor("fd_seek", &[I32, I64, I32, I32], Errno::SPIPE),
    of_descriptor("fd_sync", &[I32], Errno::INVAL),
    of_descriptor("fd_tell", &[I32; 2], Errno::SPIPE),
    offered("fd_write", &[I32; 4]),
    of_descriptor("path_create_directory", &[I32; 3], Errno::NOTCAPABLE),
    of_descriptor("path_filestat_get", &[I32; 5], Errno::NOTCAPABLE),
    of_descriptor("path_filestat_set_times", &[I32, I32, I32, I32, I64, I64, I32], Errno::NOTCAPABLE),
    of_descriptor("path_link", &[I32; 7], Errno::NOTCAPABLE),
    of_descriptor("path_open", &[I32, I32, I32, I32, I32, I64, I64, I32, I32], Errno::NOTCAPABLE),
    of_descriptor("path_readlink", &[I32; 6], Errno::NOTCAPABLE),
    of_descriptor("path_remove_directory", &[I32; 3], Errno::NOTCAPABLE),
    of_descriptor("path_rename", &[I32; 6], Errno::NOTCAPABLE),
    // Its first argument is a path.
    never("path_symlink", &[I32; 5], Errno::NOTCAPABLE),
    of_descriptor("path_unlink_file", &[I32; 3], Errno::NOTCAPABLE),
    offered("poll_oneoff", &[I32; 4]),
    offered(PROC_EXIT, &[I32]),
    never("proc_raise", &[I32], Errno::NOSYS),
    offered("random_get", &[I32; 2]),
    offered("sched_yield", &[]),
    of_descriptor("sock_accept", &[I32; 3], Errno::NOTSOCK),
    of_descriptor("sock_recv", &[I32; 6], Errno::NOTSOCK),
    of_descriptor("sock_send", &[I32; 5], Errno::NOTSOCK),
    of_descriptor("sock_shutdown", &[I32; 2], Errno::NOTSOCK),
];
