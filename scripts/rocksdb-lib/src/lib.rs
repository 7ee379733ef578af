//! Empty: only the C++ library that its dependency builds is wanted.
