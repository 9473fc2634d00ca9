# Stage 2: Redis counts the visits; the cookie is the same as in stage 1.

require 'sinatra'
require_relative 'common'

REDIS = connect

# region visits
def count_visit(name)
  REDIS.with { |redis| redis.hincrby("sessiontut:user:#{name}", 'visits', 1) }
end

get '/' do
  name = signed_name(request.cookies['session'])
  return page('You are not logged in') unless name

  visits = count_visit(name)
  page("Logged in as #{escape_html(name)}<br>Visits: #{visits}")
end
# endregion visits

get '/login' do
  FORM
end

post '/login' do
  name = posted_name
  response.set_cookie('session', COOKIE.merge(value: sign(name)))
  redirect '/', 303
end

get '/logout' do
  response.delete_cookie('session', COOKIE)
  redirect '/', 303
end
