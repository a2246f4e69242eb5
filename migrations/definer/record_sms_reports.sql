-- Records a batch of the SMS provider's delivery reports and updates the deliveries they are about.
-- Returns how many receipts were new (`kept`), and the first delivery of each notice whose kind is in `p_kinds`
-- (`received`).
-- Called by: backend/notice/delivery_reports.py
-- Why it bypasses row-level security: a report names no tenant; it is matched by the `out_id` of the message.
CREATE OR REPLACE FUNCTION definer.record_sms_reports(p_reports jsonb, p_recorded_at timestamptz, p_kinds text[])
RETURNS jsonb
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH report AS (
    SELECT DISTINCT ON (r.out_id, r.phone_number, r.success) r.*
    FROM jsonb_to_recordset(p_reports) AS r(out_id text, phone_number text, success boolean, err_code text,
      err_msg text, biz_id text, sms_size text, send_time timestamptz, report_time timestamptz)
    ORDER BY r.out_id, r.phone_number, r.success, r.report_time
  ), matched AS (
    SELECT d.notice_id, d.message_id, r.* FROM report r
    JOIN notice_delivery d ON d.out_id = r.out_id AND d.channel = 'sms'
      -- With or without +86, a mobile number ends in the same eleven digits.
      AND right(d.phone, 11) = right(r.phone_number, 11)
  ), new_receipt AS (
    INSERT INTO notice_receipt (notice_id, channel, event, at, recorded_at, report)
    SELECT notice_id, 'sms', CASE WHEN success THEN 'delivered' ELSE 'failed' END, report_time, p_recorded_at,
      jsonb_build_object('err_code', err_code, 'err_msg', err_msg, 'biz_id', biz_id, 'sms_size', sms_size,
        'out_id', out_id, 'send_time', send_time, 'report_time', report_time)
    FROM matched ON CONFLICT DO NOTHING RETURNING notice_id, event, at
  ), best_report AS (
    SELECT DISTINCT ON (notice_id) * FROM matched ORDER BY notice_id, success DESC
  ), updated AS (
    UPDATE notice_delivery d SET
      state = CASE WHEN b.success THEN 'delivered' ELSE 'failed' END,
      delivered_at = CASE WHEN b.success THEN b.report_time END,
      sent_at = coalesce(d.sent_at, b.send_time),
      provider_message_id = coalesce(d.provider_message_id, b.biz_id),
      last_error = CASE WHEN b.success THEN d.last_error ELSE b.err_code END,
      sealed_params = NULL
    FROM best_report b WHERE d.notice_id = b.notice_id AND d.channel = 'sms' AND d.state <> 'delivered'
  ), received AS (
    SELECT DISTINCT n.notice_id, m.kind, m.group_id, n.at FROM new_receipt n
    JOIN matched USING (notice_id) JOIN notice_message m ON m.id = matched.message_id
    WHERE n.event = 'delivered' AND m.kind = ANY (p_kinds)
  )
  SELECT jsonb_build_object(
    'kept', (SELECT count(*) FROM new_receipt),
    'received', (SELECT coalesce(jsonb_agg(to_jsonb(r) || jsonb_build_object(
      'account_id', n.account_id, 'school_id', n.school_id, 'org_path', n.org_path)), '[]')
      FROM received r JOIN notice n ON n.id = r.notice_id));
END;
