//! The two halves of a connection.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};

use heist_runtime::ops::{BufResult, IoBuf};
use heist_runtime::scope::leaf_fn;

use super::io::{Reader, RecvBuf, Writer};
use super::stream::TcpStream;
use crate::halves::halves;
use crate::io::{AsyncWriteExt, ReadExact, read_through, write_through};
use crate::tries::{read_now, readable, write_now};

halves!(TcpStream);
