//! Bodies that are streamed: of requests that are larger than the guest's memory, and of such responses.
#![expect(unsafe_code, reason = "the stream is an import")]

use alloc::vec::Vec;

use guest_abi::function::{Scalar, Type};

use super::Response;
use crate::Result;
use crate::function::{ByteRows, Output};
use crate::raw;

/// Reads the next bytes of the request's body into `buffer`, and returns how many; 0 at the end. It waits for the client.
///
/// It is for routes with `stream = true`. In any other call the host ends the call.
#[must_use]
pub fn read_body(buffer: &mut [u8]) -> usize {
    // SAFETY: the buffer is borrowed during the call.
    let length = unsafe { raw::stream_read(buffer.as_mut_ptr(), buffer.len()) };
    usize::try_from(length).unwrap_or(0).min(buffer.len())
}

/// The result of a function of a route with `stream = true`: a whole [`Response`], or the end of one that was
/// [begun](Response::begin).
///
/// ```
/// use guest_sdk::function;
/// use guest_sdk::http::{Request, Response, Streamed, read_body};
///
/// /// Gives back the body in capital letters, however long it is.
/// #[function]
/// fn shout(request: Request<'_>) -> Streamed {
///     if request.method != "POST" {
///         return Response::text("send a text").with_status(405).into();
///     }
///     let mut response = Response::text("").begin();
///     let mut buffer = [0; 1024];
///     loop {
///         match read_body(&mut buffer) {
///             0 => return response.end(),
///             length => response.write(&buffer[..length].to_ascii_uppercase()),
///         }
///     }
/// }
///
/// guest_sdk::testing::set_stream("hello");
/// shout(Request { method: "POST", ..Request::default() });
/// assert!(guest_sdk::testing::take_stream().ends_with(b"HELLO"));
/// ```
#[derive(Debug)]
#[must_use]
pub struct Streamed(Vec<u8>);

/// A response that has begun. See [`Response::begin`].
#[derive(Debug)]
#[must_use = "call `end` and return what it gives"]
pub struct ResponseStream(());

impl Response {
    /// Sends the status, the headers and the body as far as it is there. More of the body follows by [`ResponseStream::write`].
    ///
    /// From now on the status cannot change. If the call fails, the connection ends before the body does.
    pub fn begin(self) -> ResponseStream {
        write(&Vec::from(self));
        ResponseStream(())
    }
}

impl ResponseStream {
    /// Sends bytes of the body. It waits for the client if that reads slowly.
    pub fn write(&mut self, bytes: &[u8]) {
        write(bytes);
    }

    /// Ends the body. Return this from the function.
    pub fn end(self) -> Streamed {
        Streamed(Vec::new())
    }
}

fn write(bytes: &[u8]) {
    // SAFETY: the bytes are borrowed during the call.
    unsafe { raw::stream_write(bytes.as_ptr(), bytes.len()) };
}

impl From<Response> for Streamed {
    fn from(response: Response) -> Self {
        Self(response.into())
    }
}

impl From<Streamed> for Vec<u8> {
    fn from(Streamed(bytes): Streamed) -> Self {
        bytes
    }
}

impl Output for Streamed {
    const TYPE: Type = Type::of(Scalar::Bytes);
    type Slot = i64;
    type Rows = ByteRows;

    fn into_slot(self) -> Result<i64> {
        self.into_packed()
    }

    fn into_packed(self) -> Result<i64> {
        self.0.into_packed()
    }
}
