"""What tests share: real servers, real data, patience."""
