//! A system without memory files.

use std::io;
use std::marker::PhantomData;
use std::ops::Range;

/// There is none.
#[derive(Debug)]
pub(crate) enum File {}

/// There is none.
#[derive(Debug)]
pub(crate) enum RawFile {}

/// There are none.
#[derive(Debug)]
pub struct Pages<'a>(std::convert::Infallible, PhantomData<&'a mut [u8]>);

impl File {
    pub(crate) fn new(_: usize) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match *self {}
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match *self {}
    }

    pub(crate) fn share(&mut self, _: &mut Pages<'_>) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn copy_on_write(&mut self, _: &mut Pages<'_>) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn take_back(&mut self, _: &mut Pages<'_>) -> io::Result<()> {
        match *self {}
    }
}

impl RawFile {
    pub(crate) fn new(_: usize) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn read(&self, _: Range<usize>) -> Vec<u8> {
        match *self {}
    }

    pub(crate) fn write(&self, _: usize, _: &[u8]) {
        match *self {}
    }

    pub(crate) fn share(&self, _: &mut Pages<'_>) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn copy_on_write(&self, _: &mut Pages<'_>) -> io::Result<()> {
        match *self {}
    }
}
