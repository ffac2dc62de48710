//! Variants for hosts that cannot pass structures by value, or cannot use inline functions: LuaJIT, Ruby's Fiddle, JNA
//! and the like.
//!
//! Texts are passed as `char *` that end in a NUL. Each function does the same as the one whose name lacks `ffi`.

use std::ffi::c_void;

use crate::arguments::items;
use crate::asynchronous::{OnDone, Read, secretcache_get_async, secretcache_read_start};
use crate::cache::{
    Cache, secretcache_get, secretcache_get_binary, secretcache_get_field, secretcache_get_string,
    secretcache_get_within, secretcache_invalidate, secretcache_peek, secretcache_refresh,
};
use crate::config::{
    Config, secretcache_config_add_fallback_region, secretcache_config_set_ca_bundle,
    secretcache_config_set_credentials, secretcache_config_set_endpoint_url, secretcache_config_set_profile,
    secretcache_config_set_proxy_url, secretcache_config_set_refresh_interval_of,
    secretcache_config_set_region, secretcache_config_set_role, secretcache_config_set_role_for,
};
use crate::connect::{Credential, OnLogin, secretcache_connect, secretcache_credential_field};
use crate::error::{
    Error, ResultCode, secretcache_error_message, secretcache_error_operation, secretcache_error_request_id,
    secretcache_error_service_code, secretcache_result_name,
};
use crate::process::secretcache_version;
use crate::source::{
    Answer, secretcache_answer_add_stage, secretcache_answer_add_version_stage, secretcache_answer_fail,
    secretcache_answer_set_arn, secretcache_answer_set_name, secretcache_answer_set_string,
    secretcache_answer_set_version_id,
};
use crate::stats::{Stats, secretcache_stats_api_calls};
use crate::text::{Bytes, Str, VersionSelector};
use crate::value::{Value, secretcache_value_field};
use crate::watch::{Watch, secretcache_is_outdated, secretcache_watch_new};

forward! {
    /// Like `secretcache_version`. The functions `secretcache_ffi_...` do the same as the functions without `ffi`, for
    /// languages that cannot pass structures by value: a text is a `char *` that ends in a NUL, and NULL means no text.
    fn secretcache_ffi_version() -> Chars = secretcache_version;

    /// Like `secretcache_result_name`.
    fn secretcache_ffi_result_name(result: Same<u32>) -> Chars = secretcache_result_name;

    /// Like `secretcache_error_message`; NULL for NULL.
    fn secretcache_ffi_error_message(error: Same<*const Error>) -> Chars = secretcache_error_message;

    /// Like `secretcache_error_service_code`; NULL if there is none. This also holds for the next two functions.
    fn secretcache_ffi_error_service_code(error: Same<*const Error>) -> Chars = secretcache_error_service_code;

    /// Like `secretcache_error_operation`.
    fn secretcache_ffi_error_operation(error: Same<*const Error>) -> Chars = secretcache_error_operation;

    /// Like `secretcache_error_request_id`.
    fn secretcache_ffi_error_request_id(error: Same<*const Error>) -> Chars = secretcache_error_request_id;

    /// Like `secretcache_config_set_refresh_interval_of`.
    fn secretcache_ffi_config_set_refresh_interval_of(
        config: Same<*mut Config>,
        secret_id: Chars,
        interval_ms: Same<u64>,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_config_set_refresh_interval_of;

    /// Like `secretcache_config_set_region`.
    fn secretcache_ffi_config_set_region(
        config: Same<*mut Config>,
        region: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_config_set_region;

    /// Like `secretcache_config_set_endpoint_url`.
    fn secretcache_ffi_config_set_endpoint_url(
        config: Same<*mut Config>,
        url: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_config_set_endpoint_url;

    /// Like `secretcache_config_set_profile`.
    fn secretcache_ffi_config_set_profile(
        config: Same<*mut Config>,
        profile: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_config_set_profile;

    /// Like `secretcache_config_set_credentials`; `session_token` can be NULL.
    fn secretcache_ffi_config_set_credentials(
        config: Same<*mut Config>,
        access_key_id: Chars,
        secret_access_key: Chars,
        session_token: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_config_set_credentials;

    /// Like `secretcache_config_set_role`; `external_id` can be NULL.
    fn secretcache_ffi_config_set_role(
        config: Same<*mut Config>,
        role_arn: Chars,
        external_id: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_config_set_role;

    /// Like `secretcache_config_set_role_for`; `external_id` can be NULL.
    fn secretcache_ffi_config_set_role_for(
        config: Same<*mut Config>,
        prefix: Chars,
        role_arn: Chars,
        external_id: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_config_set_role_for;

    /// Like `secretcache_config_add_fallback_region`.
    fn secretcache_ffi_config_add_fallback_region(
        config: Same<*mut Config>,
        region: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_config_add_fallback_region;

    /// Like `secretcache_config_set_proxy_url`.
    fn secretcache_ffi_config_set_proxy_url(
        config: Same<*mut Config>,
        url: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_config_set_proxy_url;

    /// Like `secretcache_config_set_ca_bundle`.
    fn secretcache_ffi_config_set_ca_bundle(
        config: Same<*mut Config>,
        path: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_config_set_ca_bundle;

    /// Like `secretcache_answer_set_arn`.
    fn secretcache_ffi_answer_set_arn(
        answer: Same<*mut Answer>,
        arn: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_answer_set_arn;

    /// Like `secretcache_answer_set_name`.
    fn secretcache_ffi_answer_set_name(
        answer: Same<*mut Answer>,
        name: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_answer_set_name;

    /// Like `secretcache_answer_set_version_id`.
    fn secretcache_ffi_answer_set_version_id(
        answer: Same<*mut Answer>,
        version_id: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_answer_set_version_id;

    /// Like `secretcache_answer_add_stage`.
    fn secretcache_ffi_answer_add_stage(
        answer: Same<*mut Answer>,
        stage: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_answer_add_stage;

    /// Like `secretcache_answer_set_string`.
    fn secretcache_ffi_answer_set_string(
        answer: Same<*mut Answer>,
        string: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_answer_set_string;

    /// Like `secretcache_answer_add_version_stage`.
    fn secretcache_ffi_answer_add_version_stage(
        answer: Same<*mut Answer>,
        version_id: Chars,
        stage: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_answer_add_version_stage;

    /// Like `secretcache_answer_fail`.
    fn secretcache_ffi_answer_fail(
        answer: Same<*mut Answer>,
        result: Same<u32>,
        message: Chars,
    ) -> Same<()> = secretcache_answer_fail;

    /// Like `secretcache_get`.
    fn secretcache_ffi_get(
        cache: Same<*const Cache>,
        secret_id: Chars,
        version: Same<*const VersionSelector>,
        value: Same<*mut Value>,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_get;

    /// Like `secretcache_get_within`.
    fn secretcache_ffi_get_within(
        cache: Same<*const Cache>,
        secret_id: Chars,
        version: Same<*const VersionSelector>,
        timeout_ms: Same<u64>,
        value: Same<*mut Value>,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_get_within;

    /// Like `secretcache_get_string`.
    fn secretcache_ffi_get_string(
        cache: Same<*const Cache>,
        secret_id: Chars,
        version: Same<*const VersionSelector>,
        value: Same<*mut Value>,
        string_out: Same<*mut Str>,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_get_string;

    /// Like `secretcache_get_binary`.
    fn secretcache_ffi_get_binary(
        cache: Same<*const Cache>,
        secret_id: Chars,
        version: Same<*const VersionSelector>,
        value: Same<*mut Value>,
        binary_out: Same<*mut Bytes>,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_get_binary;

    /// Like `secretcache_get_field`.
    fn secretcache_ffi_get_field(
        cache: Same<*const Cache>,
        secret_id: Chars,
        version: Same<*const VersionSelector>,
        field: Chars,
        value: Same<*mut Value>,
        string_out: Same<*mut Str>,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_get_field;

    /// Like `secretcache_peek`.
    fn secretcache_ffi_peek(
        cache: Same<*const Cache>,
        secret_id: Chars,
        version: Same<*const VersionSelector>,
        value: Same<*mut Value>,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_peek;

    /// Like `secretcache_refresh`.
    fn secretcache_ffi_refresh(
        cache: Same<*const Cache>,
        secret_id: Chars,
        version: Same<*const VersionSelector>,
        value: Same<*mut Value>,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_refresh;

    /// Like `secretcache_invalidate`.
    fn secretcache_ffi_invalidate(
        cache: Same<*const Cache>,
        secret_id: Chars,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_invalidate;

    /// Like `secretcache_value_field`.
    fn secretcache_ffi_value_field(
        value: Same<*const Value>,
        field: Chars,
        value_out: Same<*mut *mut Value>,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_value_field;

    /// Like `secretcache_get_async`. The callback runs on a thread of this library, so it does not work with languages
    /// that can be called only on their own threads.
    fn secretcache_ffi_get_async(
        cache: Same<*const Cache>,
        secret_id: Chars,
        version: Same<*const VersionSelector>,
        on_done: Same<OnDone>,
        user_data: Same<*mut c_void>,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_get_async;

    /// Like `secretcache_read_start`; its callback also runs on a thread of this library.
    fn secretcache_ffi_read_start(
        cache: Same<*const Cache>,
        secret_id: Chars,
        version: Same<*const VersionSelector>,
        timeout_ms: Same<u64>,
        on_done: Same<OnDone>,
        user_data: Same<*mut c_void>,
        read_out: Same<*mut *mut Read>,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_read_start;

    /// Like `secretcache_connect`. It calls the login function on the calling thread, so it works with any language.
    fn secretcache_ffi_connect(
        cache: Same<*const Cache>,
        secret_id: Chars,
        timeout_ms: Same<u64>,
        on_login: Same<OnLogin>,
        user_data: Same<*mut c_void>,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_connect;

    /// Like `secretcache_credential_field`, also for "username" and "password"; NULL if there is none.
    fn secretcache_ffi_credential_field(credential: Same<*const Credential>, field: Chars) -> Chars
        = secretcache_credential_field;

    /// Like `secretcache_watch_new`.
    fn secretcache_ffi_watch_new(
        cache: Same<*const Cache>,
        secret_id: Chars,
        watch_out: Same<*mut *mut Watch>,
        error_out: Same<*mut *mut Error>,
    ) -> Same<ResultCode> = secretcache_watch_new;

    /// Like `secretcache_is_outdated`.
    fn secretcache_ffi_is_outdated(
        cache: Same<*const Cache>,
        secret_id: Chars,
        version_id: Chars,
    ) -> Same<bool> = secretcache_is_outdated;

    /// Like `secretcache_stats_api_calls`.
    fn secretcache_ffi_stats_api_calls(stats: Same<*const Stats>, operation: Chars) -> Same<u64>
        = secretcache_stats_api_calls;
}

export! {
    /// Like `secretcache_answer_set_binary`.
    fn secretcache_ffi_answer_set_binary(
        answer: Mut<Answer>,
        data: Is<*const u8>,
        length: Is<usize>,
    ) -> Result() {
        // SAFETY: the header requires `length` bytes that do not change during the call.
        answer.set_binary(unsafe { items(data, length, "data") }?.unwrap_or_default());
        Ok(())
    }

    /// Like `secretcache_value_arn`, but writes the text, or no text, to `text_out`. This also holds for the functions
    /// below.
    fn secretcache_ffi_value_arn(value: Ref<Value>) -> Result(text_out: Str) {
        Ok(value.arn())
    }

    /// Like `secretcache_value_name`.
    fn secretcache_ffi_value_name(value: Ref<Value>) -> Result(text_out: Str) {
        Ok(value.name())
    }

    /// Like `secretcache_value_version_id`.
    fn secretcache_ffi_value_version_id(value: Ref<Value>) -> Result(text_out: Str) {
        Ok(value.version_id())
    }

    /// Like `secretcache_value_stage`.
    fn secretcache_ffi_value_stage(value: Ref<Value>, index: Is<usize>) -> Result(text_out: Str) {
        Ok(value.stage(index))
    }

    /// Like `secretcache_credential_version_id`.
    fn secretcache_ffi_credential_version_id(credential: Ref<Credential>) -> Result(text_out: Str) {
        Ok(credential.version_id())
    }

    /// Like `secretcache_credential_version_stage`.
    fn secretcache_ffi_credential_version_stage(credential: Ref<Credential>) -> Result(text_out: Str) {
        Ok(credential.version_stage())
    }
}
