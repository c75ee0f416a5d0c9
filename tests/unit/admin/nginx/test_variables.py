"""Every variable of Debian's nginx 1.22 is a document's, or empty, or refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from admin.nginx.report import RefusalError
from admin.nginx.values import words
from admin.nginx.variables import CONSTANT, EMPTY, REFUSED, Variables
from proxy.headers.template import Scope, compile_template
from tests.unit.admin.nginx.conf import document, faults, http, location, server

TABLES = words(
    """
    ancient_browser arg_x args binary_remote_addr body_bytes_sent bytes_sent connection
    connection_requests connection_time connections_active connections_reading connections_waiting
    connections_writing content_length content_type cookie_x date_gmt date_local document_root
    document_uri fastcgi_path_info fastcgi_script_name geoip_city grpc_internal_trailers gzip_ratio
    host hostname http2 http_cookie http_host http_referer http_user_agent http_via
    http_x_forwarded_for https invalid_referer is_args limit_conn_status limit_rate
    limit_req_status memcached_key modern_browser msec msie nginx_version pid pipe
    proxy_add_x_forwarded_for proxy_host proxy_internal_body_length proxy_internal_chunked
    proxy_port proxy_protocol_addr proxy_protocol_port proxy_protocol_server_addr
    proxy_protocol_server_port proxy_protocol_tlv_x query_string realip_remote_addr
    realip_remote_port realpath_root remote_addr remote_port remote_user request request_body
    request_body_file request_completion request_filename request_id request_length request_method
    request_time request_uri scheme secure_link secure_link_expires sent_http_cache_control
    sent_http_connection sent_http_content_length sent_http_content_type sent_http_keep_alive
    sent_http_last_modified sent_http_link sent_http_location sent_http_transfer_encoding
    sent_trailer_x server_addr server_port server_protocol slice_range ssl_alpn_protocol ssl_cipher
    ssl_ciphers ssl_client_cert ssl_client_escaped_cert ssl_client_fingerprint ssl_client_i_dn
    ssl_client_i_dn_legacy ssl_client_raw_cert ssl_client_s_dn ssl_client_s_dn_legacy
    ssl_client_serial ssl_client_v_end ssl_client_v_remain ssl_client_v_start ssl_client_verify
    ssl_curve ssl_curves ssl_early_data ssl_protocol ssl_server_name ssl_session_id
    ssl_session_reused status tcpinfo_rcv_space tcpinfo_rtt tcpinfo_rttvar tcpinfo_snd_cwnd
    time_iso8601 time_local uid_got uid_reset uid_set upstream_addr upstream_bytes_received
    upstream_bytes_sent upstream_cache_etag upstream_cache_last_modified upstream_cache_status
    upstream_connect_time upstream_cookie_x upstream_header_time upstream_http_x
    upstream_response_length upstream_response_time upstream_status upstream_trailer_x uri
    """
)
"""The tables of its http modules; ``$server_name`` is a constant of its server here."""


@pytest.mark.parametrize("name", sorted(TABLES))
def test_variable_of_nginx_is_known(name: str) -> None:
    try:
        text = Variables().template(f"${name}")
    except RefusalError as refusal:
        assert refusal.message.startswith(f"there is no ${name}: ")
    else:
        compile_template(text, Scope(response=True))


def test_no_variable_is_both_here_and_refused() -> None:
    for name in EMPTY | REFUSED.keys() | CONSTANT.keys():
        assert name in TABLES
        with pytest.raises(Exception, match=f"unknown variable .{name}"):
            compile_template(f"${name}", Scope(response=True))


def test_variable_that_nothing_sets_is_left_empty() -> None:
    made: dict[str, Any] = document(server(location("proxy_set_header X-A a${ssl_cipher}b;")))
    (route,) = made["routes"].values()
    assert route["request_headers"]["set"]["X-A"] == "ab"


@pytest.mark.parametrize("name", ["request_time", "ssl_cipher", "limit_rate", "tcpinfo_rtt"])
def test_map_cannot_be_called_like_a_variable_of_nginx(name: str) -> None:
    (fault,) = faults(http(f"map $host ${name} {{ a b; }}"))
    assert f"${name} is a built-in variable" in fault
