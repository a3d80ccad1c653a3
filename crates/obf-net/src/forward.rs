//! A type that has a stream of octets, as one.

/// Reads and writes on a type by handing both to its stream: `forward_stream!(Session, stream)`, with a type parameter
/// `forward_stream!(Session<S>, stream, S: AsyncRead + AsyncWrite + Unpin)`. The caller depends on `tokio`.
#[macro_export]
macro_rules! forward_stream {
    ($type:ty, $stream:tt $(, $parameter:ident: $($bound:tt)+)?) => {
        impl$(<$parameter: $($bound)+>)? ::tokio::io::AsyncRead for $type {
            fn poll_read(
                mut self: ::std::pin::Pin<&mut Self>,
                context: &mut ::std::task::Context<'_>,
                buffer: &mut ::tokio::io::ReadBuf<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::tokio::io::AsyncRead::poll_read(::std::pin::Pin::new(&mut self.$stream), context, buffer)
            }
        }

        impl$(<$parameter: $($bound)+>)? ::tokio::io::AsyncWrite for $type {
            fn poll_write(
                mut self: ::std::pin::Pin<&mut Self>,
                context: &mut ::std::task::Context<'_>,
                octets: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                ::tokio::io::AsyncWrite::poll_write(::std::pin::Pin::new(&mut self.$stream), context, octets)
            }

            fn poll_flush(
                mut self: ::std::pin::Pin<&mut Self>,
                context: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::tokio::io::AsyncWrite::poll_flush(::std::pin::Pin::new(&mut self.$stream), context)
            }

            fn poll_shutdown(
                mut self: ::std::pin::Pin<&mut Self>,
                context: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::tokio::io::AsyncWrite::poll_shutdown(::std::pin::Pin::new(&mut self.$stream), context)
            }
        }
    };
}
