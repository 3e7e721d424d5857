"""The background process of one OS user: joins the rings, owns log, keys and sockets."""
